"""Our `.onnx` files in Netron's own reader, without its window: run where Node and Netron are.

Neither is installed for this project; `pip install netron` brings the reader. Everywhere else
onnx's full check (`check_onnx`) stands for it. Source: Netron 9.3.3, view.js and onnx.js.
"""

import json
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import onnx
import pytest
from deployed import small_network

from snndeploy.onnxgraph.file import PREFIX, dump_onnx

NETRON, NODE = find_spec("netron"), shutil.which("node")
pytestmark = pytest.mark.skipif(
    NETRON is None or NODE is None, reason="no Node, or no Netron: pip install netron"
)
SCRIPT = Path(__file__).with_name("netron_open.mjs")


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Return a function that opens a file in Netron and says what it shows."""
    folder = tmp_path_factory.mktemp("netron")
    for file in Path(NETRON.origin).parent.iterdir():
        if file.suffix in (".js", ".json"):
            shutil.copy(file, folder)
    shutil.copy(SCRIPT, folder)
    (folder / "package.json").write_text('{"type": "module"}')

    def show(data):
        (folder / "net.onnx").write_bytes(data)
        ran = subprocess.run(
            [NODE, folder / SCRIPT.name, folder / "net.onnx"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    return show


@pytest.mark.parametrize("form", ["sequence", "step"])
@pytest.mark.parametrize("inline", [False, True])
def test_netron_shows_every_node_and_body(opened, form, inline):
    data = dump_onnx(small_network(), form, inline=inline)
    model, shown = onnx.load_model_from_string(data), opened(data)
    assert shown["format"] == f"ONNX v{model.ir_version}"
    assert shown["imports"][0] == "ai.onnx v18"
    assert sorted(shown["metadata"]) == sorted(p.key for p in model.metadata_props)
    assert f"{PREFIX}network" in shown["metadata"]
    bodies = {function.name: operations(function.node) for function in model.functions}
    assert shown["functions"] == list(bodies)
    (graph,) = shown["graphs"]
    check_shown(graph, model.graph, bodies)
    if form == "sequence":
        (scan,) = [node for node in model.graph.node if node.op_type == "Scan"]
        (inner,) = graph["inner"]
        check_shown(inner, next(a.g for a in scan.attribute if a.name == "body"), bodies)


def operations(nodes):
    """Return what nodes do; Netron shows some constants in their users."""
    return [node.op_type for node in nodes if node.op_type != "Constant"]


def check_shown(shown, graph, bodies):
    """Every node is there, and a neuron's body can be opened."""
    assert without_constants(shown["nodes"]) == operations(graph.node)
    assert shown["inputs"] == [port.name for port in graph.input]
    assert shown["outputs"] == [port.name for port in graph.output]
    called = {node.op_type for node in graph.node} & set(bodies)
    found = {name: without_constants(names) for name, names in shown["bodies"].items()}
    assert found == {name: bodies[name] for name in called}


def without_constants(names):
    return [name for name in names if name != "Constant"]
