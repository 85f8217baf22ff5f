"""What `inspect` says of an import, and the drawing of its graph."""

import xml.etree.ElementTree as ET
from pathlib import Path

import norse.torch as norse
import pytest
import torch
from torch import nn

from snndeploy.errors import SnnDeployError
from snndeploy.frontends import nir_file
from snndeploy.frontends.examples import ImportOptions
from snndeploy.frontends.torch_module import import_module
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.registry import find_target
from snndeploy.report.graph_svg import HEIGHT, WIDTH, draw_graph
from snndeploy.report.imports import import_report
from snndeploy.semantics import parse_choice

PAPER = Path(__file__).parents[1] / "data" / "nir_paper"
BRAILLE = PAPER / "03_rnn" / "braille_noDelay_bias_zero.nir"
SVG = "{http://www.w3.org/2000/svg}"


def branching():
    """Two paths of different depth that meet, and a loop."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(6, 5), nn.Linear(5, 5), nn.Linear(5, 5)
            self.s, self.t = norse.LIFCell(), norse.LIFRecurrentCell(5, 5)

        def forward(self, x, s, t):
            z, s = self.s(self.a(x), s)
            out, t = self.t(self.b(z) + self.c(z), t)
            return out, s, t

    torch.manual_seed(0)
    return import_module(Net(), torch.ones(1, 6), ImportOptions(name="a <net> & more"))


def test_every_layer_says_what_it_became_and_how_exactly():
    model = branching()
    layers = compile_model(model, find_target("loihi2"), CompileOptions(steps=6)).layers
    report = import_report(model, layers)
    ports = {"input", "output"}
    assert [layer.node for layer in report.layers] == [
        name for name in model.graph.nodes if name not in ports
    ]
    by_name = {layer.node: layer for layer in report.layers}
    assert by_name["s"].became == by_name["a"].became == "s (lif)"
    assert by_name["a"].weight_error > 0
    assert not by_name["a"].exact
    assert by_name["a"].why


def test_a_refusal_is_part_of_the_report():
    model = branching()
    with pytest.raises(SnnDeployError) as caught:
        compile_model(model, find_target("loihi2"), CompileOptions())
    report = import_report(model, caught.value)
    assert report.refused == caught.value.line()
    assert {layer.exact for layer in report.layers} == {None}


def test_who_said_how_neurons_step():
    (group,) = import_report(branching(), None).semantics
    assert group.nodes == ("s", "t")
    assert set(group.said.values()) == {"the node"}
    model = nir_file.read(BRAILLE, parse_choice("snntorch,reset=subtract-delayed"))
    (group,) = import_report(model, None).semantics
    assert group.said["reset"] == "option"
    assert group.said["feedback"] == "preset snntorch"
    assert group.fields["reset"] == "subtract-delayed"
    (assumed,) = import_report(nir_file.read(BRAILLE), None).semantics
    assert set(assumed.said.values()) == {"default"}


def boxes_of(text):
    """Return every box's name and place."""
    return {
        group.find(f"{SVG}title").text.split(":")[0]: tuple(
            float(group.find(f"{SVG}rect").get(key)) for key in ("x", "y")
        )
        for group in ET.fromstring(text).iter(f"{SVG}g")
    }


def test_a_drawing_has_every_node_once_and_none_over_another():
    model = branching()
    text = draw_graph(model)
    boxes = boxes_of(text)
    assert set(boxes) == set(model.graph.nodes)
    places = list(boxes.values())
    for i, (x, y) in enumerate(places):
        for u, v in places[:i]:
            assert abs(x - u) >= WIDTH or abs(y - v) >= HEIGHT
    assert "a &lt;net&gt; &amp; more" in text


def test_edges_lead_to_the_right_but_loops_which_are_dashed():
    model = branching()
    text = draw_graph(model)
    boxes, root = boxes_of(text), ET.fromstring(text)
    drawn = {}
    for path in root.iter(f"{SVG}path"):
        if path.find(f"{SVG}title") is not None:
            source, target = path.find(f"{SVG}title").text.split(":")[0].split(" → ")
            drawn[source, target] = path.get("stroke-dasharray") is not None
    assert set(drawn) == set(model.graph.edges)
    backward = {edge for edge in drawn if boxes[edge[0]][0] >= boxes[edge[1]][0]}
    assert backward == {edge for edge, dashed in drawn.items() if dashed}
    assert len(backward) == 1


def test_an_edge_over_a_column_runs_above_its_boxes():
    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)
            self.s, self.t = norse.LIFCell(), norse.LIFCell()

        def forward(self, x, s, t):
            z, s = self.s(self.a(x), s)
            out, t = self.t(self.b(z) + z, t)
            return out, s, t

    text = draw_graph(import_module(Skip(), torch.ones(1, 6), ImportOptions()))
    boxes = boxes_of(text)
    (over,) = [
        path.get("d")
        for path in ET.fromstring(text).iter(f"{SVG}path")
        if path.find(f"{SVG}title") is not None and "L" in path.get("d")
    ]
    height = float(over.split("L")[1].split()[1])
    assert len(boxes) == 6
    assert all(not y - 1 < height < y + HEIGHT + 1 for _, y in boxes.values())


def test_a_drawing_fetches_nothing():
    text = draw_graph(nir_file.read(BRAILLE))
    assert "href" not in text
    assert text.count("http") == 1  # the namespace
