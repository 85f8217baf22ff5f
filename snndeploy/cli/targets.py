"""`snndeploy targets`: the chips that are installed, their limits and rules."""

import click

from snndeploy.cli.options import output_options


@click.command("targets", short_help="The chips: limits, rules, prices, sources.")
@click.argument("name", required=False)
@click.option("--rules", is_flag=True, help="Print what is checked, and the integer rules.")
@output_options
def targets_command(name: str | None, *, rules: bool, as_json: bool) -> None:
    """List the targets, or say all that is known of target NAME, with its sources."""
    from snndeploy.registry import find_any_target, target_names
    from snndeploy.report.chips import chip_record, print_chip, print_chips
    from snndeploy.report.document import print_json

    names = (name,) if name else target_names()
    targets = [find_any_target(target) for target in names]
    if as_json:
        print_json({"targets": [chip_record(target) for target in targets]})
    elif name or rules:
        for target in targets:
            print_chip(target, rules=rules)
    else:
        print_chips(targets)
