"""`snndeploy explain`: what an error code means and what to do about it."""

import click

from snndeploy.cli.options import output_options
from snndeploy.errors import UsageError


@click.command("explain", short_help="What an error code means and what to do.")
@click.argument("code")
@output_options
def explain_command(code: str, *, as_json: bool) -> None:
    """Explain an error CODE, such as E3001."""
    from difflib import get_close_matches

    from snndeploy.cli.catalogue import CATALOGUE

    entry = CATALOGUE.get(code.upper())
    if entry is None:
        near = get_close_matches(code.upper(), CATALOGUE, n=1)
        remedy = f"did you mean {near[0]}?" if near else "codes look like E3001"
        raise UsageError("E5001", f"unknown code {code!r}", remedy=remedy)
    title, meaning, remedy = entry
    if as_json:
        from snndeploy.report.document import print_json

        print_json({"code": code.upper(), "title": title, "meaning": meaning, "remedy": remedy})
    else:
        click.echo(f"{code.upper()}: {title}\n\n{meaning}\n\nWhat to do: {remedy}")
