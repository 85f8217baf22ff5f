"""Numbers as people read them."""

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
