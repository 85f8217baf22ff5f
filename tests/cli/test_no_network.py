"""No command opens a socket: what is not on this machine is not asked for, not even looked up."""

import subprocess
import sys

WATCHED = """
import sys
opened = []
def watch(event, args):
    if event in ("socket.__new__", "socket.connect", "socket.bind", "socket.getaddrinfo"):
        opened.append((event, str(args)[:80]))
sys.addaudithook(watch)
from snndeploy.cli.main import run
for line in sys.stdin.read().splitlines():
    code = run(line.split())
    assert code in (0, 7), (line, code)
assert not opened, opened
print("no socket was opened")
"""

COMMANDS = """\
compile model.pt --data data.npz -o net
compile model.nir --encode spikes --steps 8 -o other
run model.pt --backend float --input data.npz
run net --backend sim --input data.npz --output y.npz
run net --backend reference --input data.npz
estimate net --data data.npz
estimate model.pt --target loihi1,loihi2 --data data.npz --json
verify net --backends reference,sim
compare model.pt net --data data.npz
inspect model.pt
inspect net --emit network
finetune model.pt --data data.npz -o tuned.pt --epochs 1
targets loihi2 --rules
explain E1001
doctor
"""


def test_no_command_opens_a_socket(files):
    ran = subprocess.run(
        [sys.executable, "-c", WATCHED],
        input=COMMANDS, capture_output=True, text=True, cwd=files, timeout=300, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr
    assert ran.stdout.endswith("no socket was opened\n")


def test_the_watch_would_see_one(files):
    script = WATCHED.replace(
        "from snndeploy", "import socket; socket.socket().close()\nfrom snndeploy"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        input="explain E1001\n", capture_output=True, text=True, cwd=files, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode != 0
    assert "socket.__new__" in ran.stderr
