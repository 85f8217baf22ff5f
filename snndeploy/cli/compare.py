"""`snndeploy compare`: where two forms of one network part first, and why."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snndeploy.cli.options import (
    DEFAULT_TARGET,
    compile_for,
    compile_options,
    data_options,
    is_bundle,
    open_bundle,
    open_model,
    open_samples,
    output_options,
    path_type,
    refuse_compile_options,
)
from snndeploy.cli.progress import progress_bar
from snndeploy.errors import EXIT_DIVERGENCE, EXIT_OK, UsageError

if TYPE_CHECKING:
    from snndeploy.inference import Deployed
    from snndeploy.model import Model

FLOAT, FRAMEWORK = "float", "framework"
HELP = """Compare two forms of one network on the same samples, layer by layer, step by step.

A and B are PATH or PATH@BACKEND: a model is run in float64, or compiled and run on reference, sim,
lava or another executor; weights with a --factory also in their own framework (@framework); a
bundle on the reference if nothing else is said. Exit 7 if one spike differs.
"""


@click.command(
    "compare", help=HELP, short_help="Find where two forms of a network differ, and why."
)
@click.argument("a", metavar="A[@BACKEND]")
@click.argument("b", metavar="B[@BACKEND]")
@click.option("--data", type=path_type(), required=True, help="Samples to run (.npz).")
@click.option("--samples", "n_samples", type=click.IntRange(min=1), help="Only the first so many.")
@click.option("--target", help="Chip that models are compiled for; default: loihi.")
@click.option("--semantics-b", help="PRESET[,key=value…] of B, if it is not A's.")
@click.option("--case", type=path_type(), help="Write the smallest failing case there (.json).")
@click.option("--force", is_flag=True, help="Replace an existing case.")
@data_options
@compile_options
@output_options
def compare_command(
    a: str,
    b: str,
    data: Path,
    n_samples: int | None,
    target: str | None,
    semantics_b: str | None,
    case: Path | None,
    *,
    force: bool,
    as_json: bool,
    **chosen: Any,
) -> int:
    """Compare, print, and write the case."""
    from snndeploy.api import compare
    from snndeploy.bundle.publish import check_file, write_file
    from snndeploy.frames import model_shapes
    from snndeploy.inference import input_shapes
    from snndeploy.model import Model
    from snndeploy.report.comparison import case_text, comparison_record, print_comparison
    from snndeploy.report.document import print_json

    if case is not None:
        check_file(case, force=force)
    spoken = [_spoken(text) for text in (a, b)]
    if all(is_bundle(path) for path, _ in spoken):
        refuse_compile_options()
    chosen_b = {**chosen, "semantics": semantics_b or chosen["semantics"]}
    example = None
    opened: list[Any] = []
    shapes = []
    for (path, backend), options in zip(spoken, (chosen, chosen_b), strict=True):
        if backend == FRAMEWORK:
            module, example, model = _module(path, options)
            opened.append(module)
            shapes.append(model_shapes(model))
            continue
        opened.append(_opened(path, backend, target, options))
        last = opened[-1]
        shapes.append(model_shapes(last) if isinstance(last, Model) else input_shapes(last))
    samples = open_samples(data, shapes[0])
    if n_samples is not None:
        samples = samples.first(n_samples)
    with progress_bar("comparing") as progress:
        found = compare(
            opened[0],
            opened[1],
            samples,
            example_input=example,
            backends=(spoken[0][1] or "reference", spoken[1][1] or "reference"),
            labels=(a, b if b != a else f"{b} (B)"),
            steps=chosen["steps"],
            progress=progress,
        )
    if case is not None and found.first is not None and found.first.case is not None:
        write_file(case, case_text(found.first.case).encode())
    if as_json:
        print_json(comparison_record(found))
    else:
        print_comparison(found, case)
    return EXIT_OK if found.is_equal else EXIT_DIVERGENCE


def _spoken(text: str) -> tuple[Path, str]:
    """Return the path and the backend of PATH[@BACKEND]; a path may hold an @ of its own."""
    from snndeploy.registry import executor_names

    path, at, backend = text.rpartition("@")
    if not at or Path(text).exists():
        return Path(text), ""
    known = (FLOAT, FRAMEWORK, *executor_names())
    if backend not in known:
        from snndeploy.registry import unknown_name

        raise unknown_name("backend", backend, known)
    return Path(path), backend


def _module(path: Path, chosen: dict[str, Any]) -> "tuple[Any, Any, Model]":
    """Return a module with its weights, its example input, and the model that it is read as."""
    from snndeploy.frontends.factory import load_module

    if chosen["factory"] is None:
        raise UsageError(
            "E5132", "weights alone are no network", where=f"{path}@{FRAMEWORK}",
            remedy="give --factory package.module:function, which returns (network, example_input)",
        )  # fmt: skip
    model = open_model(path, chosen)
    module, example, _ = load_module(path, chosen["factory"])
    if example is None:
        raise UsageError(
            "E5132", "the network is run as it is, so it needs an example", where="--factory",
            remedy="let the factory return (network, example_input)",
        )  # fmt: skip
    return module, example, model


def _opened(
    path: Path, backend: str, target: str | None, chosen: dict[str, Any]
) -> "Model | Deployed":
    if not is_bundle(path):
        model = open_model(path, chosen)
        if backend in ("", FLOAT):
            return model
        return compile_for(model, target or DEFAULT_TARGET, chosen)
    if backend == FLOAT:
        raise UsageError(
            "E5021", "a bundle holds integers, not the float model", where=f"{path}@{FLOAT}",
            remedy="give the model",
        )  # fmt: skip
    return open_bundle(path)
