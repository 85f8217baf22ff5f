"""`snndeploy run`: samples in, answers out, on the float model or any executor."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snndeploy.cli.options import (
    check_trace,
    compile_options,
    data_options,
    is_bundle,
    open_deployed,
    open_model,
    open_samples,
    output_options,
    path_type,
    trace_options,
    write_trace,
)
from snndeploy.cli.progress import progress_bar
from snndeploy.errors import UsageError

if TYPE_CHECKING:
    from snndeploy.inference import Answer


@click.command("run", short_help="Run samples on the float model or an executor.")
@click.argument("model", type=path_type(), metavar="MODEL|BUNDLE|NETWORK")
@click.option(
    "--backend", required=True, help="float, reference, sim, lava, onnx or another executor."
)
@click.option("--input", "data", type=path_type(), required=True, help="Arrays to run (.npz).")
@click.option("--output", type=path_type(), help="Where the answers go (.npz).")
@click.option("--target", help="Chip a model is compiled for; default: loihi.")
@click.option("--force", is_flag=True, help="Replace an existing output.")
@trace_options
@data_options
@compile_options
@output_options
def run_command(
    model: Path,
    backend: str,
    data: Path,
    output: Path | None,
    target: str | None,
    trace: Path | None,
    *,
    threads: int,
    force: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Run samples and say what was decided."""
    from snndeploy.bundle.publish import check_file, write_file
    from snndeploy.npz import dump_npz
    from snndeploy.report.document import print_json
    from snndeploy.report.record import answer_arrays, answer_record
    from snndeploy.report.terminal import print_answer

    if output is not None:
        check_file(output, force=force)
    neurons = check_trace(trace, chosen.pop("chosen"), force=force)
    simulating = {"threads": threads, "trace": neurons}
    if backend == "float":
        _refuse_simulating(threads, neurons)
        answer = _run_float(model, data, chosen)
    else:
        answer = _run_deployed(model, data, backend, target, chosen, simulating)
    if output is not None:
        write_file(output, dump_npz(answer_arrays(answer)))
    if answer.result:
        write_trace(trace, answer.result.trace)
    if as_json:
        print_json(answer_record(answer))
    else:
        print_answer(answer, output)


def _run_float(path: Path, data: Path, chosen: dict[str, Any]) -> "Answer":
    from snndeploy.frames import model_shapes
    from snndeploy.inference import run_model
    from snndeploy.network_file import is_network

    if is_bundle(path) or is_network(path):
        raise UsageError(
            "E5021",
            "a bundle or a network holds integers, not the float model",
            where="--backend",
            remedy="give the model, or --backend reference",
        )
    model = open_model(path, chosen)
    return run_model(model, open_samples(data, model_shapes(model)), steps=chosen["steps"])


def _run_deployed(
    path: Path,
    data: Path,
    backend: str,
    target: str | None,
    chosen: dict[str, Any],
    simulating: dict[str, Any],
) -> "Answer":
    from snndeploy.inference import input_shapes, run_deployed
    from snndeploy.registry import usable_executor

    usable_executor(backend)
    deployed = open_deployed(path, target, chosen)
    samples = open_samples(data, input_shapes(deployed))
    with progress_bar(f"running on {backend}") as progress:
        return run_deployed(deployed, samples, backend, progress=progress, **simulating)


def _refuse_simulating(threads: int, neurons: object) -> None:
    """Raise UsageError E5060 if the float model is asked for threads or a trace."""
    if threads != 1 or neurons is not None:
        raise UsageError(
            "E5060",
            "the float model is not simulated: no threads to choose, no trace",
            where="--trace" if neurons is not None else "--threads",
            remedy="use --backend sim, or drop the option",
        )
