"""A max pool before the neuron: the refusal's remedy works as it is typed, and says what it did."""

import re
import shlex

import numpy as np
import pytest
import snntorch as snn
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn
from torch.nn.functional import max_pool2d

import snndeploy
from snndeploy.cli.main import run
from snndeploy.errors import ModelError, UnsupportedError, UsageError
from snndeploy.frontends.rewrite import pool_after_neuron
from snndeploy.npz import dump_npz

STEPS = 4


def tutorial_net():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.MaxPool2d(2),
        snn.Leaky(beta=0.5, init_hidden=True),
        nn.Flatten(),
        nn.Linear(36, 3),
        snn.Leaky(beta=0.5, init_hidden=True, output=True),
    )


def images(n, seed=0):
    rng = np.random.default_rng(seed)
    return {"x": rng.random((1, n, 1, 8, 8)), "label": rng.integers(0, 3, n)}


def example(n=2):
    return torch.from_numpy(images(n)["x"][0]).float()


def refusal_of(net, path):
    with pytest.raises(UnsupportedError) as caught:
        snndeploy.save(net, path, example(), steps=STEPS, repeat=True)
    assert caught.value.code == "E2004"
    return caught.value


def test_the_remedy_of_the_refusal_is_typed_as_it_stands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    net = tutorial_net()
    remedy = refusal_of(net, "model.pt").remedy
    assert not list(tmp_path.iterdir())
    argument = dict(re.findall(r"snndeploy\.save\(\.\.\., (\w+)=\"([\w-]+)\"\)", remedy))
    assert len(argument) == 1
    given = {"steps": STEPS, "repeat": True, "input_range": (0, 1), **argument}
    model = snndeploy.save(net, "model.pt", example(), **given)
    assert [note.node for note in model.notes if "pool-after-neuron" in note.text] == ["1"]
    assert model.original is None
    (tmp_path / "train.npz").write_bytes(dump_npz(images(40)))
    (command,) = re.findall(r"`snndeploy (finetune [^`]+)`", remedy)
    words = {"MODEL": "model.pt", "TRAIN.npz": "train.npz", "TUNED.pt": "tuned.pt"}
    typed = [words.get(word, word) for word in shlex.split(command)]
    assert run([*typed, "--epochs", "1"]) == 0
    assert "not measured" in capsys.readouterr().out
    tuned = snndeploy.load("tuned.pt")
    assert tuned.notes[-1].kind == "trained"
    assert not snndeploy.compile(tuned, "loihi").violations


def lively(net):
    """Scale random weights until the neurons fire and all classes are decided for."""
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("weight"):
                parameter.mul_(4)
    return net


class Functional(nn.Module):
    """The pool as a function, the loop in forward, the states by hand."""

    def __init__(self, *, decode):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.lif1 = snn.Leaky(beta=0.5)
        self.fc = nn.Linear(36, 3)
        self.lif2 = snn.Leaky(beta=0.5)
        self.decode = decode

    def forward(self, x):
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes = []
        for _ in range(STEPS):
            spk, mem1 = self.lif1(max_pool2d(self.conv(x), 2), mem1)
            spk, mem2 = self.lif2(self.fc(spk.flatten(1)), mem2)
            spikes.append(spk)
        stacked = torch.stack(spikes)
        return stacked.sum(0) if self.decode else (stacked, mem2)


def jelly(step_mode):
    torch.manual_seed(3)
    net = nn.Sequential(
        layer.Conv2d(1, 4, 3), layer.MaxPool2d(2), neuron.LIFNode(tau=2.0, decay_input=False),
        layer.Flatten(), layer.Linear(36, 3), neuron.IFNode(),
    )  # fmt: skip
    functional.set_step_mode(net, step_mode)
    return net


def outer(net, x):
    for part in net.modules():
        if isinstance(part, snn.SpikingNeuron):
            part.reset_mem()
    functional.reset_net(net)
    answers = [net(x[0]) for _ in range(STEPS)]
    return sum(a[0] if isinstance(a, tuple) else a for a in answers)


def module(net, x):
    functional.reset_net(net)
    return net(x.expand(STEPS, *x.shape[1:])).sum(0)


CASES = {
    "snntorch, one step per call": (tutorial_net, outer, {"steps": STEPS, "repeat": True}),
    "snntorch, loop in forward": (
        lambda: Functional(decode=False), lambda net, x: net(x[0])[0].sum(0), {},
    ),
    "snntorch, decodes itself": (lambda: Functional(decode=True), lambda net, x: net(x[0]), {}),
    "spikingjelly, one step per call": (
        lambda: jelly("s"), outer, {"steps": STEPS, "repeat": True},
    ),
    "spikingjelly, all steps": (lambda: jelly("m"), module, {"repeat": True}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_module_is_measured_as_its_user_runs_it(name, tmp_path):
    make, run_module, options = CASES[name]
    torch.manual_seed(0)
    net = lively(make()).train()
    given = images(300)
    x = torch.from_numpy(given["x"]).float()
    with torch.no_grad():
        decided = run_module(net.eval(), x).argmax(1).numpy()
    label = np.where(np.arange(300) % 4, decided, (decided + 1) % 3)  # three quarters are right
    assert len(set(decided.tolist())) > 1
    net.train()
    many = run_module is module
    model = snndeploy.save(
        net, tmp_path / "m.pt", x[:, :2].expand(STEPS, -1, -1, -1, -1) if many else x[0, :2],
        input_range=(0, 1), rewrite="pool-after-neuron", data=given["x"], label=label, **options,
    )  # fmt: skip
    assert model.original.accuracy == 0.75
    assert model.original.n_samples == 300
    assert net.training
    assert snndeploy.load(tmp_path / "m.pt").original == model.original
    assert any("pool-after-neuron" in note.text for note in model.notes)
    with torch.no_grad():
        assert np.array_equal(run_module(net.eval(), x).argmax(1).numpy(), decided)


def test_a_module_that_was_just_trained_is_rewritten():
    net = tutorial_net()
    net(example())[0].sum().backward()
    kinds = [type(part).__name__ for part in pool_after_neuron(net)]
    assert kinds == ["Conv2d", "Leaky", "MaxPool2d", "Flatten", "Linear", "Leaky"]
    state = net[2].mem
    assert state.grad_fn is not None, "the user's own state keeps its gradient"


class Stateful(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(64, 3)
        self.lif = snn.Leaky(beta=0.5)

    def forward(self, x, mem):
        return self.lif(self.net(x.flatten(1)), mem)


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 3)
        self.lif = snn.Leaky(beta=0.5, init_hidden=True)

    def forward(self, x):
        return self.lif(self.fc(x.flatten(1)))


@pytest.mark.parametrize(
    ("net", "options", "kind", "says"),
    [
        (tutorial_net, {"rewrite": "pool-after"}, UsageError, "did you mean 'pool-after-neuron'"),
        (tutorial_net, {"rewrite": "x"}, UsageError, "E5040.*use pool-after-neuron"),
        (Plain, {"rewrite": "pool-after-neuron"}, UnsupportedError, "E2004.*no max pool is"),
        (Plain, {"data": images(5)["x"]}, ModelError, "E1214.*give label"),
        (Plain, {"data": images(5)["x"][..., :7], "label": np.zeros(5, int)}, ModelError, "E1206"),
        (Plain, {"data": images(5)["x"], "label": np.zeros(4, int)}, ModelError, "E1210"),
        (Plain, {"data": "nothing.npz"}, ModelError, "E1212"),
        (Stateful, {"data": images(5)["x"], "label": np.zeros(5, int)}, UsageError, "E5052.*mem"),
    ],
)  # fmt: skip
def test_what_cannot_be_rewritten_or_measured_is_refused_and_not_written(
    net, options, kind, says, tmp_path
):
    with pytest.raises(kind, match=says) as caught:
        snndeploy.save(net(), tmp_path / "m.pt", example(), steps=STEPS, repeat=True, **options)
    assert "\n" not in caught.value.line()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "record",
    [
        {"accuracy": 1.5, "n_samples": 3, "digest": "a"},
        {"accuracy": 0.5, "n_samples": 0, "digest": "a"},
        {"accuracy": 0.5, "n_samples": 3},
        {"accuracy": 1, "n_samples": 3, "digest": "a"},
        "95 %",
    ],
)
def test_a_forged_accuracy_is_refused(record, tmp_path):
    path = tmp_path / "m.pt"
    snndeploy.save(Plain(), path, example(), steps=STEPS, repeat=True)
    content = torch.load(path, weights_only=True)
    content["model"]["original"] = record
    torch.save(content, path)
    with pytest.raises(ModelError, match="E1010"):
        snndeploy.load(path)
