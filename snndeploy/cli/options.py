"""Options that several commands share, and how a user's words become a model or a bundle."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from snndeploy.bundle import Bundle
    from snndeploy.inference import Deployed
    from snndeploy.ir.arrays import AnyArray
    from snndeploy.model import Model
    from snndeploy.network_file import NetworkFile
    from snndeploy.pipeline import Compiled, CompileOptions
    from snndeploy.samples import Samples, Shapes

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_TARGET = "loihi"
DT = "snndeploy.dt"
"""Where a command's context keeps the step of its data."""


class Steps(click.ParamType):  # type: ignore[type-arg]  # generic in some versions only
    """A number of steps, or `inf`, which is 0 in `CompileOptions`."""

    name = "P|inf"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value == "inf":
            return 0
        steps = int(value) if str(value).isdecimal() else 0
        return steps or self.fail(
            f"{value!r} is neither a whole number above 0 nor inf", param, ctx
        )


class Sizes(click.ParamType):  # type: ignore[type-arg]  # generic in some versions only
    """Whole numbers above 0, separated by commas."""

    name = "C,H,W"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        parts = str(value).split(",")
        if not all(part.isdecimal() and int(part) for part in parts):
            self.fail(f"{value!r} is not a list of whole numbers above 0", param, ctx)
        return tuple(map(int, parts))


def path_type() -> click.Path:
    """Return a path that is not looked at here: what reads it says what is wrong with it."""
    return click.Path(readable=False, path_type=Path)


def output_options(command: F) -> F:
    """Add `--json` and `--debug`."""
    command = click.option("--json", "as_json", is_flag=True, help="Print JSON with a schema.")(
        command
    )
    return click.option(
        "--debug", is_flag=True, expose_value=False, help="Print a traceback with an error."
    )(command)


def threads_option(command: F) -> F:
    """Add `--threads`."""
    return click.option(
        "--threads",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Threads of the simulator; answers do not depend on it.",
    )(command)


def trace_options(command: F) -> F:
    """Add `--trace`, `--trace-neurons` and `--threads`."""
    for decorate in (
        click.option(
            "--trace-neurons",
            "chosen",
            multiple=True,
            metavar="POP:I,J-K,…",
            help="Neurons whose states --trace keeps; may be given for several populations.",
        ),
        click.option(
            "--trace",
            type=path_type(),
            metavar="FILE.npz",
            help="Keep what the simulator sees, for numpy.load: spikes.POP (uint8 [B, P, n / 8], "
            "bits of numpy.packbits along the neurons; payload.POP where integers are sent), "
            "shape.POP, neurons.POP and state.POP.WORD [B, P, chosen] (v: the membrane); per chip "
            "step core.synaptic_ops, core.spikes, core.messages, core.seconds [rows, T] of "
            "rows.core and rows.population, link.messages [links, T] of links, step.seconds.",
        ),
        threads_option,
    ):
        command = decorate(command)
    return command


def check_trace(
    trace: Path | None, chosen: tuple[str, ...], *, force: bool
) -> dict[str, tuple[int, ...]] | None:
    """Return the neurons to trace, by population; None without a trace.

    Raises:
        UsageError: E5003 and E5004, see `check_file`; E5061, neurons without a trace; E5062, words
            that are no `POP:I,J-K`.
    """
    from snndeploy.bundle.publish import check_file
    from snndeploy.errors import UsageError

    if trace is None and chosen:
        raise UsageError(
            "E5061",
            "there is no file for their states",
            where="--trace-neurons",
            remedy="add --trace FILE.npz",
        )
    if trace is None:
        return None
    check_file(trace, force=force)
    neurons: dict[str, tuple[int, ...]] = {}
    for words in chosen:
        name, numbers = parse_neurons(words)
        neurons[name] = tuple(dict.fromkeys((*neurons.get(name, ()), *numbers)))
    return neurons


MOST_CHOSEN = 1 << 20


def parse_neurons(words: str) -> tuple[str, tuple[int, ...]]:
    """Return population and neurons of `POP:I,J-K`.

    Raises:
        UsageError: E5062.
    """
    from snndeploy.errors import UsageError

    name, colon, listed = words.rpartition(":")
    found: list[int] = []
    for part in listed.split(","):
        first, dash, last = part.strip().partition("-")
        ends = (first, last if dash else first)
        if not (name and colon and all(end.isdecimal() for end in ends)):
            break
        span = range(int(ends[0]), int(ends[1]) + 1)
        if not 0 < len(span) <= MOST_CHOSEN:
            break
        found += span
    else:
        return name, tuple(found)
    raise UsageError(
        "E5062",
        f"{words!r} names no neurons",
        where="--trace-neurons",
        remedy="give a population and numbers from 0 on, as in layer1:0,5,10-20",
    )


def write_trace(path: Path | None, trace: "Mapping[str, AnyArray] | None") -> None:
    """Write a trace, if there is one."""
    from snndeploy.bundle.publish import write_file
    from snndeploy.npz import dump_npz

    if path is not None and trace is not None:
        write_file(path, dump_npz(trace))


def reading_options(command: F) -> F:
    """Add what `open_model` is told of a file that does not say everything itself."""
    for decorate in (
        click.option(
            "--input-range",
            type=(float, float),
            metavar="LOW HIGH",
            help="Input values, where a .nir file does not say.",
        ),
        click.option("--semantics", help="PRESET[,key=value…]: how the model's steps are taken."),
        click.option(
            "--factory",
            metavar="MODULE:FUNCTION",
            help="Your function that builds the network of a state_dict; its module is imported.",
        ),
        click.option(
            "--input-shape", type=Sizes(), help="Of one input of such a network, e.g. 1,28,28."
        ),
    ):
        command = decorate(command)
    return command


def input_bits_option(command: F) -> F:
    """Add `--input-bits`."""
    return click.option(
        "--input-bits",
        type=click.IntRange(2, 16),
        default=8,
        show_default=True,
        help="Bits of a graded input, sign included.",
    )(command)


def compile_options(command: F) -> F:
    """Add what `CompileOptions` holds, and `--semantics`."""
    for decorate in (
        click.option("--seed", default=0, show_default=True, help="Seed of rate coding."),
        click.option(
            "--encode",
            type=click.Choice(("auto", "spikes", "graded", "rate")),
            default="auto",
            show_default=True,
            help="How real inputs become integers.",
        ),
        click.option(
            "--host-layers",
            type=click.IntRange(min=0),
            default=0,
            show_default=True,
            help="Leading weight layers that the host computes in float.",
        ),
        input_bits_option,
        click.option(
            "--one-at-a-time",
            is_flag=True,
            help="Clear the chip before every sample instead of streaming samples.",
        ),
        reading_options,
        click.option(
            "--weight-bits",
            type=click.IntRange(2, 8),
            default=8,
            show_default=True,
            help="Stored bits per weight.",
        ),
        click.option(
            "--steps",
            type=Steps(),
            help="Model steps per sample, or inf to run without resets; default: its own.",
        ),
    ):
        command = decorate(command)
    return command


def _keep_dt(ctx: click.Context, _param: click.Parameter, dt: float | None) -> None:
    ctx.meta[DT] = dt


def data_options(command: F) -> F:
    """Add `--dt`, which `open_samples` reads."""
    return click.option(
        "--dt", type=float, metavar="SECONDS", expose_value=False, callback=_keep_dt,
        help="Of a model step, for data of events.",
    )(command)  # fmt: skip


def options_from(chosen: dict[str, Any]) -> "CompileOptions":
    """Return the compile options among a command's parameters."""
    from snndeploy.pipeline import CompileOptions

    return CompileOptions(
        steps=chosen["steps"],
        weight_bits=chosen["weight_bits"],
        host_layers=chosen["host_layers"],
        encode=chosen["encode"],
        input_bits=chosen["input_bits"],
        seed=chosen["seed"],
        one_at_a_time=chosen["one_at_a_time"],
    )


def is_bundle(path: Path) -> bool:
    """Return whether a path is taken for a bundle: bundles are folders, models are files."""
    return path.is_dir()


def open_bundle(path: Path) -> "Bundle":
    """Read a bundle."""
    from snndeploy.bundle import read_bundle

    return read_bundle(path)


READING = ("semantics", "input_range", "factory", "input_shape")
"""The options of `reading_options`."""


def open_model(path: Path, chosen: dict[str, Any]) -> "Model":
    """Read a model file; what it leaves open is among the chosen options."""
    from snndeploy.api import load

    values: Any = chosen.get("values")
    if chosen.get("encode") == "spikes":
        values = "spikes"
    return load(
        path, values=values, steps=chosen["steps"], **{name: chosen[name] for name in READING}
    )


def compile_for(model: "Model", target: str, chosen: dict[str, Any]) -> "Compiled":
    """Compile a model for a target by name."""
    from snndeploy.pipeline import compile_model
    from snndeploy.registry import find_target

    return compile_model(model, find_target(target), options_from(chosen))


def open_deployed(path: Path, target: str | None, chosen: dict[str, Any]) -> "Deployed":
    """Read a bundle or a network, or compile a model; options that are fixed then are refused.

    Raises:
        UsageError: E5021, a compile option together with a bundle or a network.
    """
    from snndeploy.network_file import is_network

    if is_bundle(path):
        refuse_compile_options()
    elif is_network(path):
        return open_network_file(path, target)
    else:
        model = open_model(path, chosen)
        return compile_for(model, target or DEFAULT_TARGET, chosen)
    bundle = open_bundle(path)
    check_same_target(bundle, target)
    return bundle


def open_network_file(path: Path, target: str | None) -> "NetworkFile":
    """Read a network alone in a file, for a target by name."""
    from snndeploy.network_file import open_network
    from snndeploy.registry import find_target

    refuse_compile_options("a network")
    return open_network(path, find_target(target or DEFAULT_TARGET))


def check_same_target(bundle: "Bundle", target: str | None) -> None:
    """Raise UsageError E5021 if a bundle was compiled for another target than is asked for."""
    from snndeploy.errors import UsageError
    from snndeploy.registry import ALIASES

    if target is not None and ALIASES.get(target, target) != bundle.manifest.target:
        raise UsageError(
            "E5021",
            f"the bundle was compiled for {bundle.manifest.target}, not for {target}",
            where="--target",
            remedy="give the model instead of the bundle",
        )


def refuse_compile_options(what: str = "a bundle") -> None:
    """Raise UsageError E5021 if a compile option was given on the command line."""
    from snndeploy.errors import UsageError

    ctx = click.get_current_context()
    for name in (
        "steps",
        "weight_bits",
        "semantics",
        "factory",
        "input_shape",
        "host_layers",
        "encode",
        "seed",
        "input_bits",
        "input_range",
        "one_at_a_time",
    ):
        if ctx.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE:
            raise UsageError(
                "E5021",
                f"{what} is compiled already",
                where=f"--{name.replace('_', '-')}",
                remedy=f"drop the option, or give the model instead of {what}",
            )


def open_samples(path: Path, shapes: "Shapes") -> "Samples":
    """Read the user's arrays, events or images."""
    from snndeploy.samples import read_samples

    return read_samples(path, shapes, dt=click.get_current_context().meta.get(DT))
