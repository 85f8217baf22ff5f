"""How long the program takes to say something: CPU seconds, best of ten."""

import resource
import subprocess
import sys

COMMANDS = {
    "snndeploy --help": ["--help"],
    "snndeploy explain E3001": ["explain", "E3001"],
    "snndeploy targets": ["targets"],
}
RUN = "import sys; from snndeploy.cli.main import run; sys.exit(run(sys.argv[1:]))"


def cpu_seconds(args: list[str]) -> float:
    """Return user and system time of one run in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", RUN, *args], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


for name, command in COMMANDS.items():
    best = min(cpu_seconds(command) for _ in range(10))
    print(f"{name:28s} {1000 * best:6.0f} ms CPU")
