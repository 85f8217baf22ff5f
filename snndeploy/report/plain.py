"""Names from files, made safe to show: no control characters, escapes or direction overrides."""

import unicodedata

HIDDEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
"""Unicode categories that move the cursor, hide text or turn it round."""
LONGEST = 200


def plain(text: str, *, longest: int = LONGEST) -> str:
    r"""Return text on one line with what a terminal would act on written out as `\x1b`."""
    shown = "".join(_visible(char) for char in text[: longest + 1])
    return shown if len(text) <= longest else f"{shown[:longest]}…"


def _visible(char: str) -> str:
    if unicodedata.category(char) not in HIDDEN:
        return char
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
