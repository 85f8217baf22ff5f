"""Every error a user can meet: five classes, stable codes, one exit code per class.

What goes in: what was had, what is allowed, where, and what to do about it. What comes out: an
exception the command line turns into one line and the documented exit code, and a catalogue that
`snndeploy explain CODE` prints.
"""

from dataclasses import dataclass


class SnnDeployError(Exception):
    """Base of all errors that are the user's to mend.

    Args:
        code: stable code, a key of `CATALOG`.
        message: one line: what was had and what is allowed.
        where: place in the user's input (file, layer, option), empty if there is none.
        remedy: what to do, an imperative sentence.
    """

    exit_code = 1

    def __init__(self, code: str, message: str, *, where: str = "", remedy: str = "") -> None:
        self.code = code
        self.message = " ".join(message.splitlines())
        self.where = where
        self.remedy = remedy
        super().__init__(self.line())

    def line(self) -> str:
        """Return the error as one line: `error[CODE] where: message; help: remedy`."""
        place = f" {self.where}:" if self.where else ":"
        remedy = f"; help: {self.remedy}" if self.remedy else ""
        return f"error[{self.code}]{place} {self.message}{remedy}"


class UsageError(SnnDeployError):
    """Options that contradict each other or the input (exit 2)."""

    exit_code = 2


class ModelError(SnnDeployError):
    """Bad or unsafe input: a file, an array or a model that cannot be accepted (exit 3)."""

    exit_code = 3


class UnsupportedError(SnnDeployError):
    """A valid construct that cannot be deployed exactly (exit 4)."""

    exit_code = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """One hardware rule that a network breaks on a chip."""

    node: str
    rule: str
    have: int
    limit: int
    unit: str
    hint: str

    def line(self) -> str:
        """Return `node: have unit, limit N (rule)`."""
        return f"{self.node}: {self.have:,} {self.unit}, limit {self.limit:,} ({self.rule})"


class CapacityError(SnnDeployError):
    """The network does not fit the chip; carries every violation (exit 5)."""

    exit_code = 5

    def __init__(self, chip: str, violations: tuple[Violation, ...]) -> None:
        self.chip = chip
        self.violations = violations
        first = violations[0]
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        super().__init__(
            "E3001",
            f"does not fit {chip}: {first.have:,} {first.unit}, limit {first.limit:,}{more}",
            where=first.node,
            remedy=first.hint,
        )


class TargetError(SnnDeployError):
    """A tool or target that is missing, timed out or failed (exit 8)."""

    exit_code = 8


EXIT_OK, EXIT_BUG, EXIT_DIVERGENCE, EXIT_INTERRUPTED = 0, 1, 7, 130
