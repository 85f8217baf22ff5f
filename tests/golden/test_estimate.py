"""What `snndeploy estimate` prints and writes, on chips whose numbers stand in the tests."""

from priced import USE, estimates

from snndeploy.report.latex import render_latex
from snndeploy.report.spreadsheet import render_csv
from snndeploy.report.terminal import print_estimates


def test_estimates_on_the_terminal(golden, capsys):
    print_estimates(estimates(use=USE))
    lines = capsys.readouterr().out.splitlines()
    golden("estimate_terminal", "\n".join(line.rstrip() for line in lines) + "\n")


def test_estimates_for_a_paper(golden):
    golden("estimate_latex", render_latex(estimates()))


def test_estimates_as_csv(golden):
    rows = [line.split(",") for line in render_csv(estimates(use=USE)).splitlines()]
    rounded = [[_rounded(cell) for cell in row] for row in rows]
    golden("estimate_csv", "\n".join(",".join(row) for row in rounded) + "\n")


def _rounded(cell):
    """Return a number with six digits: goldens hold no rounding of the machine."""
    try:
        return f"{float(cell):.6g}"
    except ValueError:
        return cell
