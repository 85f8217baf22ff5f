"""`snndeploy doctor`: what is installed here, what is missing and how to get it."""

import platform
from importlib.metadata import PackageNotFoundError, version

import click

from snndeploy.cli.options import output_options
from snndeploy.errors import EXIT_OK, SnnDeployError, TargetError

OPTIONAL = ("onnxruntime", "snntorch", "spikingjelly", "mlxtend")
PACKAGES = ("snndeploy", "numpy", "nir", "h5py", "onnx", "torch", *OPTIONAL)


@click.command("doctor", short_help="What is installed here and what is missing.")
@output_options
def doctor_command(*, as_json: bool) -> int:
    """Check this installation; exit 8 if something that every command needs is missing."""
    from snndeploy.report.console import print_facts
    from snndeploy.report.document import print_json

    rows = [("python", platform.python_version(), "")]
    rows += [_package(name) for name in PACKAGES]
    rows += _plugins()
    broken = [name for name, have, _ in rows if not have and name not in OPTIONAL]
    if as_json:
        facts = [{"name": n, "found": have, "note": note} for n, have, note in rows]
        print_json({"facts": facts, "is_complete": not broken})
    else:
        print_facts(rows)
    return TargetError.exit_code if broken else EXIT_OK


def _package(name: str) -> tuple[str, str, str]:
    try:
        return name, version(name), ""
    except PackageNotFoundError:
        what = "optional" if name in OPTIONAL else "needed"
        return name, "", f"{what}: pip install {name}"


def _plugins() -> list[tuple[str, str, str]]:
    from snndeploy.registry import executor_names, find_any_target, find_executor, target_names

    rows = []
    for name in target_names():
        try:
            rows.append((f"target {name}", find_any_target(name).chip.title, ""))
        except SnnDeployError as error:
            rows.append((f"target {name}", "", error.line()))
    for name in executor_names():
        try:
            missing = find_executor(name).missing()
            rows.append((f"backend {name}", "not here" if missing else "ready", missing or ""))
        except SnnDeployError as error:
            rows.append((f"backend {name}", "", error.line()))
    return rows
