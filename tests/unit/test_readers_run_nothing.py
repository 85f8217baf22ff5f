"""No reader opens a socket, starts a program, imports or runs anything of a file: audited."""

import sys
from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from deployed import small_network
from PIL import Image
from safetensors.torch import save_file
from test_recordings import aedat4, events
from torch import nn

from snndeploy.frontends import checkpoint, nir_file
from snndeploy.frontends.examples import ImportOptions
from snndeploy.frontends.exported_walk import load_exported
from snndeploy.frontends.integer_file import read_text
from snndeploy.frontends.onnx_file import read_onnx
from snndeploy.frontends.weights import read_weights
from snndeploy.ir.text import print_network
from snndeploy.npz import dump_npz
from snndeploy.onnxgraph.file import dump_onnx
from snndeploy.recordings import aedat4 as aedat4_file
from snndeploy.recordings import images, nir_data
from snndeploy.samples import read_samples
from snndeploy.semantics import PRESETS

PAPER = Path(__file__).parents[1] / "data" / "nir_paper"
FORBIDDEN = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn",
    "import", "exec", "pickle.", "marshal.", "ctypes.dlopen", "urllib.", "ftplib.", "smtplib.",
    "webbrowser.", "os.remove", "os.rename", "os.mkdir", "shutil.",
)  # fmt: skip
SEEN = []
ARMED = [False]


def watch(event, args):
    if ARMED[0] and event.startswith(FORBIDDEN):
        SEEN.append((event, str(args)[:80]))


@pytest.fixture(scope="module")
def audited():
    """Return a function that runs another and lists what it should not have done."""
    sys.addaudithook(watch)  # it cannot be removed again, and hears nothing unless armed

    def run(function):
        function()  # once unheard: what is imported when it is first used is imported now
        SEEN.clear()
        ARMED[0] = True
        try:
            function()
        finally:
            ARMED[0] = False
        return list(SEEN)

    return run


class Step(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x, v):
        v = 0.5 * v + self.fc(x)
        s = (v > 1).to(x)
        return s, v * (1 - s)


def files(tmp_path):
    """Return what reads each kind of file."""
    net = nn.Sequential(nn.Linear(4, 4))
    model = nir_file.read(PAPER / "01_lif" / "lif_norse.nir", PRESETS["nir"])
    checkpoint.write_model(model, tmp_path / "model.pt")
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    save_file(dict(net.state_dict()), tmp_path / "weights.safetensors")
    program = torch.export.export(Step(), (torch.zeros(1, 4), torch.zeros(1, 4)))
    torch.export.save(program, tmp_path / "net.pt2")
    (tmp_path / "net.onnx").write_bytes(dump_onnx(small_network()))
    (tmp_path / "net.network").write_text(print_network(small_network())[0])
    (tmp_path / "x.npz").write_bytes(dump_npz({"x": np.zeros((2, 1, 3))}))
    np.save(tmp_path / "events.npy", events())
    (tmp_path / "events.aedat4").write_bytes(aedat4(events()))
    (tmp_path / "images" / "a").mkdir(parents=True)
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "images" / "a" / "x.png")
    grid = nir.TimeGriddedData(np.ones((1, 2, 3)), 1e-3)
    nir.write_data(tmp_path / "d.h5", nir.NIRGraphData({"n": nir.NIRNodeData({"s": grid})}))
    camera = {"input": (2, 4, 5)}
    return {
        "nir": lambda: nir_file.read(PAPER / "03_rnn" / "braille_noDelay_bias_zero.nir"),
        "nir repaired": lambda: nir_file.read(PAPER / "01_lif" / "lif_rockpool.nir"),
        "model.pt": lambda: checkpoint.load(tmp_path / "model.pt"),
        "state_dict": lambda: read_weights(tmp_path / "weights.pt"),
        "safetensors": lambda: read_weights(tmp_path / "weights.safetensors"),
        "pt2": lambda: load_exported(tmp_path / "net.pt2", ImportOptions(values="spikes")),
        "onnx": lambda: read_onnx(str(tmp_path / "net.onnx")),
        "text": lambda: read_text(str(tmp_path / "net.network")),
        "npz": lambda: read_samples(tmp_path / "x.npz", {"input": (3,)}),
        "npy": lambda: read_samples(tmp_path / "events.npy", camera, dt=1e-3),
        "aedat4": lambda: aedat4_file.read_packed(str(tmp_path / "events.aedat4")),
        "images": lambda: images.read_packed(str(tmp_path / "images"), [1, 4, 5]),
        "nir data": lambda: nir_data.read_packed(str(tmp_path / "d.h5"), ["input"]),
    }


def test_no_reader_runs_anything(audited, tmp_path):
    for kind, read in files(tmp_path).items():
        assert audited(read) == [], kind


def test_the_audit_hears_what_it_should(audited):
    def offend():
        with pytest.raises(ModuleNotFoundError):
            __import__("no_module_of_this_name")
        exec("1")

    assert {event for event, _ in audited(offend)} == {"import", "exec"}
