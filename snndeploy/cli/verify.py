"""`snndeploy verify`: rerun every executor, compare spike for spike, write the certificate."""

import os
from pathlib import Path

import click

from snndeploy.cli.options import (
    open_bundle,
    open_samples,
    output_options,
    path_type,
    threads_option,
)
from snndeploy.cli.progress import progress_bar
from snndeploy.errors import EXIT_DIVERGENCE, EXIT_OK


@click.command("verify", short_help="Rerun every executor, compare spike for spike.")
@click.argument("bundle", type=path_type())
@click.option(
    "--backends", default="reference,sim,lava", show_default=True, help="Executors to compare."
)
@click.option("--input", "data", type=path_type(), help="Arrays to run instead of the probes.")
@threads_option
@output_options
def verify_command(
    bundle: Path, backends: str, data: Path | None, *, threads: int, as_json: bool
) -> int:
    """Rerun BUNDLE on several executors; exit 7 if they differ in one spike or state."""
    from snndeploy.inference import input_shapes
    from snndeploy.report.document import print_json
    from snndeploy.report.terminal import print_certificate
    from snndeploy.verification import verify

    opened = open_bundle(bundle)
    samples = open_samples(data, input_shapes(opened)) if data else None
    names = tuple(name.strip() for name in backends.split(",") if name.strip())
    with progress_bar("verifying") as progress:
        certificate = verify(
            opened, names, samples, require_all=bool(os.environ.get("CI")), threads=threads,
            progress=progress,
        )  # fmt: skip
    if as_json:
        print_json(certificate.record())
    else:
        print_certificate(certificate, opened.path)
    return EXIT_OK if certificate.is_equal else EXIT_DIVERGENCE
