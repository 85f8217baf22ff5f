"""`snndeploy verify`: rerun every executor, compare spike for spike, write the certificate."""

import os
from pathlib import Path

import click

from snndeploy.cli.options import (
    data_options,
    open_bundle,
    open_network_file,
    open_samples,
    output_options,
    path_type,
    threads_option,
)
from snndeploy.cli.progress import progress_bar
from snndeploy.errors import EXIT_DIVERGENCE, EXIT_OK, UsageError


@click.command("verify", short_help="Rerun every executor, compare spike for spike.")
@click.argument("bundle", type=path_type(), metavar="BUNDLE|NETWORK")
@click.option(
    "--backends", help="Executors to compare; default: reference,sim,lava, and onnx if installed."
)
@click.option("--input", "data", type=path_type(), help="Arrays to run instead of the probes.")
@threads_option
@data_options
@output_options
def verify_command(
    bundle: Path, backends: str | None, data: Path | None, *, threads: int, as_json: bool
) -> int:
    """Rerun BUNDLE on several executors; exit 7 if they differ in one spike or state."""
    from snndeploy.inference import input_shapes
    from snndeploy.network_file import is_network
    from snndeploy.report.document import print_json
    from snndeploy.report.terminal import print_certificate
    from snndeploy.verification import verify

    names = None
    if backends is not None:
        names = tuple(name.strip() for name in backends.split(",") if name.strip())
        if not names:
            raise UsageError(
                "E5020", "no executor is named", where="--backends", remedy="use sim, lava or onnx"
            )
    opened = open_network_file(bundle, None) if is_network(bundle) else open_bundle(bundle)
    samples = open_samples(data, input_shapes(opened)) if data else None
    with progress_bar("verifying") as progress:
        certificate = verify(
            opened, names, samples, require_all=bool(os.environ.get("CI")), threads=threads,
            progress=progress,
        )  # fmt: skip
    if as_json:
        print_json(certificate.record())
    else:
        print_certificate(certificate, None if is_network(bundle) else opened.path)
    return EXIT_OK if certificate.is_equal else EXIT_DIVERGENCE
