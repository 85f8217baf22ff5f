"""The command line: a command parses, calls one public function and prints.

Importing `snndeploy.cli.main` imports click and nothing heavier; each command imports what it needs
when it runs.
"""

import os
import signal
from types import FrameType

from snndeploy.errors import EXIT_INTERRUPTED

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def entry() -> None:
    """Run the command line; Ctrl-C ends it in one line even while it is still being imported."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)
    from snndeploy.cli.main import entry as start

    start()


def _leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - signal's seam
    """Leave at once: an exception would be lost where an import cannot be interrupted."""
    os.write(2, b"interrupted; nothing was written\n")
    os._exit(EXIT_INTERRUPTED)
