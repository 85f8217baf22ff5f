"""What prune, quantize and finetune share: a model is read, changed, and written as another."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snndeploy.cli.options import (
    READING,
    F,
    data_options,
    open_model,
    output_options,
    path_type,
    reading_options,
)
from snndeploy.errors import UsageError

if TYPE_CHECKING:
    from snndeploy.model import Model


def change_options(change: str) -> Callable[[F], F]:
    """Add the model, how it is read, and where the changed one goes: by default MODEL.`change`.pt.

    The command gets `model`, `out` and `force`, which are for `new_file`, `as_json`, and the rest
    for `open_to_change`.
    """

    def decorate(command: F) -> F:
        for add in (
            output_options,
            data_options,
            click.option("--force", is_flag=True, help="Replace an existing output."),
            reading_options,
            click.option(
                "--values",
                type=click.Choice(("real", "spikes")),
                help="What inputs carry, where a .nir file or the factory's example does not say.",
            ),
            click.option("--steps", type=click.IntRange(min=1), help="Model steps per sample."),
            click.option(
                "-o", "--output", "out", type=path_type(),
                help=f"Model; default: MODEL.{change}.pt here.",
            ),
            click.argument("model", type=path_type()),
        ):  # fmt: skip
            command = add(command)
        return command

    return decorate


def open_to_change(path: Path, chosen: dict[str, Any]) -> "tuple[Model, dict[str, Any]]":
    """Return the model, and what was chosen beside how to read it."""
    rest = {name: value for name, value in chosen.items() if name not in (*READING, "values")}
    return open_model(path, chosen), rest


def new_file(
    model: Path, out: Path | None, change: str, *, force: bool, suffixes: tuple[str, ...] = (".pt",)
) -> Path:
    """Return where the changed model goes, which can be written there.

    Raises:
        UsageError: E5020, its name has another suffix; E5003 and others, see `check_file`.
    """
    from snndeploy.bundle.publish import check_file

    out = out or Path(f"{model.stem}.{change}.pt")
    if out.suffix not in suffixes:
        raise UsageError(
            "E5020", f"{out.name!r} is no {' or '.join(suffixes)} file", where="-o",
            remedy="use NAME.pt",
        )  # fmt: skip
    check_file(out, force=force)
    return out
