"""Numbers as people read them."""

NOT_PUBLIC = "not public"
PREFIXES = ((1e-12, "p"), (1e-9, "n"), (1e-6, "µ"), (1e-3, "m"), (1.0, ""), (1e3, "k"), (1e6, "M"))


def engineering(value: float | None, unit: str) -> str:
    """Return a value with three digits and a prefix, `n/a` for None: 1.5e-6 J is `1.50 µJ`."""
    if value is None:
        return "n/a"
    if value == 0:
        return f"0 {unit}"
    scale, prefix = max((p for p in PREFIXES if p[0] <= abs(value) * 1.0005), default=PREFIXES[0])
    digits = value / scale
    places = max(0, 2 - (abs(digits) >= 9.995) - (abs(digits) >= 99.95))
    return f"{digits:.{places}f} {prefix}{unit}"


def percent(share: float) -> str:
    """Return a share in percent: three digits below 10 %, one decimal above."""
    return f"{100 * share:.2f} %" if abs(share) < 0.1 else f"{100 * share:.1f} %"


def metric(value: float | None) -> str:
    """Return a whole number as it is, another with four decimals, `n/a` for None."""
    if value is None:
        return "n/a"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4f}"


def spread(values: tuple[float, float, float]) -> str:
    """Return the middle of three values and the range of all: `0.31 (0.28 to 0.40)`."""
    return f"{values[1]:.3g} ({min(values):.3g} to {max(values):.3g})"


def duration(seconds: float) -> str:
    """Return a time in the largest unit that is not below 1: `3.50 h`, `2.10 years`."""
    for size, unit in ((365.25 * 86400, "years"), (86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            value = seconds / size
            return f"{value:,.2f} {unit}" if value < 1000 else f"{value:,.0f} {unit}"
    return engineering(seconds, "s")
