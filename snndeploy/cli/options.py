"""Options that several commands share, and how a user's words become a model or a bundle."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

if TYPE_CHECKING:
    from snndeploy.bundle import Bundle
    from snndeploy.inference import Deployed
    from snndeploy.model import Model
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
        click.option(
            "--input-bits",
            type=click.IntRange(2, 16),
            default=8,
            show_default=True,
            help="Bits of a graded input, sign included.",
        ),
        click.option(
            "--input-range",
            type=(float, float),
            metavar="LOW HIGH",
            help="Input values, where a .nir file does not say.",
        ),
        click.option(
            "--one-at-a-time",
            is_flag=True,
            help="Clear the chip before every sample instead of streaming samples.",
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


def open_model(path: Path, chosen: dict[str, Any]) -> "Model":
    """Read a model file; what a `.nir` file leaves open is among the chosen options."""
    from snndeploy.api import load

    values: Literal["spikes"] | None = "spikes" if chosen["encode"] == "spikes" else None
    return load(
        path,
        semantics=chosen["semantics"],
        values=values,
        input_range=chosen["input_range"],
        factory=chosen["factory"],
        input_shape=chosen["input_shape"],
        steps=chosen["steps"],
    )


def compile_for(model: "Model", target: str, chosen: dict[str, Any]) -> "Compiled":
    """Compile a model for a target by name."""
    from snndeploy.pipeline import compile_model
    from snndeploy.registry import find_target

    return compile_model(model, find_target(target), options_from(chosen))


def open_deployed(path: Path, target: str | None, chosen: dict[str, Any]) -> "Deployed":
    """Read a bundle, or compile a model; options that a bundle has fixed are refused.

    Raises:
        UsageError: E5021, a compile option together with a bundle.
    """
    if not is_bundle(path):
        model = open_model(path, chosen)
        return compile_for(model, target or DEFAULT_TARGET, chosen)
    refuse_compile_options()
    bundle = open_bundle(path)
    check_same_target(bundle, target)
    return bundle


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


def refuse_compile_options() -> None:
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
                "a bundle is compiled already",
                where=f"--{name.replace('_', '-')}",
                remedy="drop the option, or give the model instead of the bundle",
            )


def open_samples(path: Path, shapes: "Shapes") -> "Samples":
    """Read the user's arrays, events or images."""
    from snndeploy.samples import read_samples

    return read_samples(path, shapes, dt=click.get_current_context().meta.get(DT))
