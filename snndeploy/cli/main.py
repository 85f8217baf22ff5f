"""Where the command line starts, and where every error becomes one line and an exit code."""

import json
import os
import signal
import sys
import traceback
from difflib import get_close_matches
from types import FrameType
from typing import Any

import click

from snndeploy.cli import SIGNALS
from snndeploy.cli.ablate import ablate_command
from snndeploy.cli.compare import compare_command
from snndeploy.cli.compile import compile_command
from snndeploy.cli.doctor import doctor_command
from snndeploy.cli.estimate import estimate_command
from snndeploy.cli.explain import explain_command
from snndeploy.cli.export import export_command
from snndeploy.cli.finetune import finetune_command
from snndeploy.cli.inspect import inspect_command
from snndeploy.cli.prune import prune_command
from snndeploy.cli.quantize import quantize_command
from snndeploy.cli.run import run_command
from snndeploy.cli.targets import targets_command
from snndeploy.cli.verify import verify_command
from snndeploy.errors import (
    EXIT_BUG,
    EXIT_INTERRUPTED,
    EXIT_OK,
    ModelError,
    SnnDeployError,
    UsageError,
)
from snndeploy.report.plain import plain

SCHEMA = 1
LONGEST_LINE = 2000
HELP = """Compile trained spiking neural networks to neuromorphic hardware, and prove what was done.

\b
snndeploy compile model.pt --target loihi --data digits.npz -o digits.loihi
snndeploy verify digits.loihi
"""


class Commands(click.Group):
    """A group that knows what a mistyped command was meant to be."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command; raise click.UsageError with the nearest name."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="snndeploy")
def main() -> None:
    """Hold the commands."""


for _command in (
    compile_command,
    run_command,
    estimate_command,
    verify_command,
    compare_command,
    quantize_command,
    prune_command,
    finetune_command,
    ablate_command,
    export_command,
    inspect_command,
    targets_command,
    explain_command,
    doctor_command,
):
    main.add_command(_command)


def entry() -> None:
    """Run the command line and leave the process with the documented exit code."""
    minded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    for number in minded:
        signal.signal(number, _interrupt)
    code = run(sys.argv[1:])
    for number in minded:  # all is said: what comes while Python takes itself down just ends it
        signal.signal(number, signal.SIG_DFL)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def run(args: list[str]) -> int:
    """Run one command; return the exit code, and let no exception out."""
    as_json, debug = "--json" in args, "--debug" in args
    try:
        code: Any = main.main(args, prog_name="snndeploy", standalone_mode=False)
    except (KeyboardInterrupt, click.Abort) as error:
        if isinstance(error.__cause__, EOFError):  # click takes it for the user's
            return _bug(error.__cause__, debug=debug, as_json=as_json)
        stopped = str(error.__cause__ or error) or "interrupted; nothing was written"
        return _fail(stopped, EXIT_INTERRUPTED, {}, as_json=as_json)
    except click.ClickException as error:
        message = " ".join(error.format_message().split()).rstrip(".")
        usage = UsageError("E5020", message, remedy=_help_hint(error))
        return _report(usage, as_json=as_json)
    except SnnDeployError as error:
        if debug:
            traceback.print_exc()
        return _report(error, as_json=as_json)
    except BrokenPipeError:
        return EXIT_OK
    except MemoryError:
        if debug:
            traceback.print_exc()
        remedy = "give fewer samples"
        return _report(ModelError("E1213", "out of memory", remedy=remedy), as_json=as_json)
    except Exception as error:  # noqa: BLE001 - the one place that turns a bug into a line
        return _bug(error, debug=debug, as_json=as_json)
    return code if isinstance(code, int) else EXIT_OK


def _bug(error: Exception, *, debug: bool, as_json: bool) -> int:
    if debug:
        traceback.print_exception(error)
    line = f"internal error: {type(error).__name__}: {error}; run again with --debug and report it"
    return _fail(line, EXIT_BUG, {"code": "", "message": line}, as_json=as_json)


def _report(error: SnnDeployError, *, as_json: bool) -> int:
    record = {
        "code": error.code,
        "message": error.message,
        "where": error.where,
        "remedy": error.remedy,
        "explain": f"snndeploy explain {error.code}",
    }
    return _fail(error.line(), error.exit_code, record, as_json=as_json)


def _fail(line: str, code: int, record: dict[str, str], *, as_json: bool) -> int:
    """Print an error as one line on stderr, or as JSON on stdout."""
    if as_json:
        document = {
            "schema_version": SCHEMA,
            "exit_code": code,
            "error": record or {"message": line},
        }
        click.echo(json.dumps(document, indent=1, sort_keys=True))
    else:
        click.echo(plain(line, longest=LONGEST_LINE), err=True)
    return code


def _help_hint(error: click.ClickException) -> str:
    ctx = getattr(error, "ctx", None)
    return f"see `{ctx.command_path} --help`" if ctx else "see `snndeploy --help`"


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - signal's seam
    raise KeyboardInterrupt
