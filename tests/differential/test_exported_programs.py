"""Single-step programs of torch.export fire where the module fires; others are refused by name."""

import json
import zipfile

import norse.torch as norse
import numpy as np
import pytest
import snntorch as snn
import torch
from spikingjelly.activation_based import neuron
from torch import nn

import snndeploy
from snndeploy.errors import ModelError, UnsupportedError, UsageError
from snndeploy.frontends import nir_file
from snndeploy.nirgraph.interpret import run_float

STEPS, SAMPLES = 24, 5


class ByHand(nn.Module):
    """snnTorch neurons whose states are arguments."""

    def __init__(self, *neurons, n_states=1):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(20, 16), nn.Linear(16, 8)
        self.a, self.b = neurons
        self.n_states = n_states

    def forward(self, x, *states):
        n = self.n_states
        spikes, *first = self.a(self.fc1(x), *states[:n])
        spikes, *second = self.b(self.fc2(spikes), *states[n:])
        return (spikes, *first, *second)


class PlainTorch(nn.Module):
    """A network of nobody's framework: >= and a soft reset, a residual, batch normalisation."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.back, self.fc = nn.Conv2d(4, 4, 1), nn.Linear(64, 6)
        self.register_buffer("decay", torch.linspace(0.5, 0.9, 4).reshape(4, 1, 1))

    def forward(self, x, v1, v2, v3):
        v1 = self.decay * v1 + self.norm(self.conv(x))
        s1 = (v1 >= 1.0).to(x)
        v1 = v1 - s1 * 1.0
        v2 = v2 + (self.back(s1) - v2) / 4.0
        s2 = (v2 - 0.3 >= 0).to(x)
        v2 = torch.where(s2 > 0, torch.zeros_like(v2), v2)
        v3 = 0.75 * v3 + self.fc(nn.functional.max_pool2d(s1, 2).flatten(1)
                                 + nn.functional.avg_pool2d(s2, 2).flatten(1))  # fmt: skip
        s3 = (v3 > 0.7).to(x)
        return s3, v1, v2, v3 * (1 - s3)


def leaky(**options):
    return snn.Leaky(**options)


def zero(shape):
    return torch.zeros(1, *shape)


class Flat(nn.Module):
    """A network of Norse with its states as plain tensors, which torch.export can write."""

    def __init__(self, net, states):
        super().__init__()
        self.net, self.kinds = net, [None if s is None else (type(s), len(s)) for s in states]

    def forward(self, x, *tensors):
        given, states = list(tensors), []
        for kind in self.kinds:
            states.append(
                None if kind is None else kind[0](*[given.pop(0) for _ in range(kind[1])])
            )
        out, states = self.net(x, states)
        return (out, *[tensor for state in states if state is not None for tensor in state])


def sequential_norse(*modules, shape):
    net, x, states = norse.SequentialState(*modules).eval(), torch.zeros(1, *shape), []
    for module in net:
        answer = module(x)
        x, state = answer if isinstance(answer, tuple) else (answer, None)
        states.append(state)
    sizes, x = [], torch.zeros(1, *shape)
    for module, state in zip(net, states, strict=True):
        answer = module(x)
        x = answer[0] if isinstance(answer, tuple) else answer
        sizes += [x.shape] * (0 if state is None else len(state))
    return Flat(net, states), tuple(torch.zeros(size) for size in sizes)


class Chained(nn.Module):
    """A neuron straight behind a neuron, and a third one that adds its spikes to a layer's."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(20, 8), nn.Linear(8, 8)

    def forward(self, x, a, b, c):
        a = 0.5 * a + self.first(x)
        one = (a > 0.3).float()
        b = 0.75 * b + one
        two = (b > 1.2).float()
        c = 0.5 * c + self.second(two) + one
        three = (c > 1.1).float()
        return three, a * (1 - one), b - 1.2 * two, c * (1 - three)


PAIR = ((16,), (8,))
NETWORKS = {
    "leaky": lambda: (ByHand(leaky(beta=0.9), leaky(beta=torch.rand(8) * 0.5 + 0.4)),
                      tuple(map(zero, PAIR)), (20,)),
    "leaky_zero": lambda: (ByHand(leaky(beta=0.9, reset_mechanism="zero"),
                                  leaky(beta=0.8, threshold=0.6, reset_mechanism="zero")),
                           tuple(map(zero, PAIR)), (20,)),
    "leaky_no_reset": lambda: (ByHand(leaky(beta=0.5, reset_mechanism="none"), leaky(beta=0.9)),
                               tuple(map(zero, PAIR)), (20,)),
    "synaptic": lambda: (ByHand(snn.Synaptic(alpha=0.7, beta=0.9),
                                snn.Synaptic(alpha=0.5, beta=0.8), n_states=2),
                         tuple(zero(s) for s in PAIR for _ in range(2)), (20,)),
    "plain_torch": lambda: (PlainTorch(), (zero((4, 8, 8)), zero((4, 8, 8)), zero((6,))),
                            (2, 8, 8)),
    "chained": lambda: (Chained(), (zero((8,)), zero((8,)), zero((8,))), (20,)),
    "norse_conv": lambda: (*sequential_norse(
        nn.Conv2d(1, 3, 3), norse.LIFCell(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(27, 5),
        norse.LIFBoxCell(), shape=(1, 8, 8)), (1, 8, 8)),
    "norse_iaf": lambda: (*sequential_norse(
        nn.Linear(20, 16), norse.IAFCell(), nn.Linear(16, 8), norse.LIFCell(), shape=(20,)), (20,)),
    "norse_recurrent": lambda: (*sequential_norse(
        norse.LIFRecurrentCell(20, 12), nn.Linear(12, 6), norse.LIFBoxCell(), shape=(20,)), (20,)),
}  # fmt: skip


def export(net, states, shape, path):
    program = torch.export.export(net, (torch.zeros(1, *shape), *states))
    torch.export.save(program, path)
    return path


def run_module(net, states, x):
    outputs = []
    with torch.no_grad():
        for frame in x:
            spikes, *states = net(frame, *states)
            outputs.append(spikes)
    return torch.stack(outputs).numpy()


def widened(states):
    return [state.expand(SAMPLES, *state.shape[1:]).clone() for state in states]


def loud(net, states, x):
    """Scale weights until the last layer fires in some cells."""
    for _ in range(25):
        rate = run_module(net, widened(states), x).mean()
        if 0.05 < rate < 0.5:
            return rate
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                if "weight" in name and "norm" not in name:
                    parameter.mul_(1.25 if rate <= 0.05 else 0.85)
    raise AssertionError(f"fires in {rate:.1%}")


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.filterwarnings("ignore")
def test_an_exported_step_fires_where_the_module_fires(name, tmp_path, tell):
    torch.set_num_threads(1)
    torch.manual_seed(len(name))
    net, states, shape = NETWORKS[name]()
    net = net.eval()
    x = (torch.rand(STEPS, SAMPLES, *shape) < 0.4).float()
    loud(net, states, x)
    path = export(net, states, shape, tmp_path / "net.pt2")
    model = snndeploy.load(path, values="spikes", steps=STEPS)
    want = run_module(net, widened(states), x)
    got = run_float(model, {"input": x.numpy()})[model.outputs[0].name]
    differ = np.mean(got != want)
    # Single floats round; a tie that falls the other way changes what follows it.
    assert differ < 0.002
    assert 0.02 < want.mean() < 0.6
    nir_file.write(model, tmp_path / "net.nir")
    again = run_float(nir_file.read(tmp_path / "net.nir"), {"input": x.numpy()})
    np.testing.assert_array_equal(again[model.outputs[0].name], got)
    compiled = snndeploy.compile(model)
    programs = "+".join(dict.fromkeys(layer.program for layer in compiled.layers))
    tell(f"pt2 {name}: {want.size:,} cells, {differ:.2%} differ; compiled: {programs}")


# ---- what is refused -----------------------------------------------------------------------


class Step(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.fc, self.fc2, self.function = nn.Linear(4, 4), nn.Linear(4, 4), function

    def forward(self, x, v):
        return self.function(self, x, v)


def adaptive(net, x, v):
    v = 0.9 * v * v + net.fc(x)
    s = (v > 1).to(x)
    return s, v * (1 - s)


def membrane_out(net, x, v):
    v = 0.9 * v + net.fc(x)
    s = (v > 1).to(x)
    v = v * (1 - s)
    return net.fc2(v), v


def no_state_out(net, x, v):
    v = 0.9 * v + net.fc(x)
    return ((v > 1).to(x),)


def other_operator(net, x, v):
    v = 0.9 * v + torch.softmax(net.fc(x), 1)
    s = (v > 1).to(x)
    return s, v * (1 - s)


def below(net, x, v):
    v = 0.9 * v + net.fc(x)
    s = (v < 1).to(x)
    return s, v * (1 - s)


def odd_reset(net, x, v):
    v = 0.9 * v + net.fc(x)
    s = (v > 1).to(x)
    return s, v - 0.5 * s


def whole_states(net, x, v):
    v = ((0.9 * v + net.fc(x)) * 64).to(torch.int32) / 64
    s = (v > 1).to(x)
    return s, v * (1 - s)


def floored_states(net, x, v):
    v = torch.div((0.9 * v + net.fc(x)) * 64, 1, rounding_mode="floor") / 64
    s = (v > 1).to(x)
    return s, v * (1 - s)


def half_states(net, x, v):
    v = (0.9 * v + net.fc(x)).half().float()
    s = (v > 1).to(x)
    return s, v * (1 - s)


REFUSED = {
    "integers": (whole_states, r"rounds what it is given \(aten.to.dtype\)"),
    "floor": (floored_states, r"rounds what it is given \(aten.div.Tensor_mode\)"),
    "half floats": (half_states, r"rounds what it is given \(aten.to.dtype\)"),
    "square": (adaptive, "none of|something else"),
    "membrane": (membrane_out, "outside of its neuron"),
    "state lost": (no_state_out, "no next value"),
    "softmax": (other_operator, "softmax"),
    "below": (below, "fires on 'lt'"),
    "half a threshold": (odd_reset, "neither a value nor"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_step_of_a_spiking_network_is_refused_by_name(name, tmp_path):
    function, text = REFUSED[name]
    path = export(Step(function), (torch.zeros(1, 4),), (4,), tmp_path / "net.pt2")
    with pytest.raises(UnsupportedError, match=f"E2421.*({text})") as caught:
        snndeploy.load(path, values="spikes")
    assert "snndeploy.save" in caught.value.line()


def test_a_network_that_is_still_in_training_is_refused(tmp_path):
    def normalized(net, x, v):
        v = 0.9 * v + net.norm(net.fc(x))
        s = (v > 1).to(x)
        return s, v * (1 - s)

    net = Step(normalized)
    net.norm = nn.BatchNorm1d(4)
    example = (torch.rand(2, 4), torch.zeros(2, 4))
    for training in (False, True):
        program = torch.export.export(net.train(training), example)
        torch.export.save(program, tmp_path / f"{training}.pt2")
    assert snndeploy.load(tmp_path / "False.pt2", values="spikes").graph.nodes
    with pytest.raises(UnsupportedError, match=r"E2421.*norm normalizes by its batch.*net.eval"):
        snndeploy.load(tmp_path / "True.pt2", values="spikes")


def test_states_that_are_one_tensor_are_refused(tmp_path):
    """torch.export takes them for one input, and the neurons for readers of each other's state."""
    path = export(Chained(), (torch.zeros(1, 8),) * 3, (20,), tmp_path / "net.pt2")
    with pytest.raises(UnsupportedError, match=r"E2421.*reads more than its own states"):
        snndeploy.load(path, values="spikes")


def test_a_pool_with_a_divisor_of_its_own_is_refused(tmp_path):
    class Pooled(nn.Module):
        def forward(self, x, v):
            v = 0.5 * v + nn.functional.avg_pool2d(x, 2, divisor_override=3)
            s = (v > 0.4).float()
            return s, v * (1 - s)

    path = export(Pooled(), (torch.zeros(1, 2, 3, 3),), (2, 6, 6), tmp_path / "net.pt2")
    with pytest.raises(UnsupportedError, match=r"E2008.*divisor_override=3 is not supported"):
        snndeploy.load(path, values="spikes")


def test_what_the_input_carries_must_be_said(tmp_path):
    path = export(Step(odd_reset), (torch.zeros(1, 4),), (4,), tmp_path / "net.pt2")
    with pytest.raises(UsageError, match=r"E5132.*--encode spikes"):
        snndeploy.load(path)


@pytest.mark.filterwarnings("ignore")
def test_operators_of_other_libraries_are_refused_by_name(tmp_path):
    class Fused(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.cell = nn.Linear(4, 4), neuron.LIFNode()

        def forward(self, x):
            return self.cell(self.fc(x))

    path = export(Fused().eval(), (), (4,), tmp_path / "net.pt2")
    with pytest.raises((UnsupportedError, ModelError)):
        snndeploy.load(path, values="spikes")


# ---- files that nobody vouches for -----------------------------------------------------------


@pytest.fixture
def exported(tmp_path):
    return export(Step(odd_reset), (torch.zeros(1, 4),), (4,), tmp_path / "net.pt2")


def rewritten(path, change):
    """Return a copy of an archive whose entries a function changes."""
    with zipfile.ZipFile(path) as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    changed = change(dict(entries))
    copy = path.with_name("changed.pt2")
    with zipfile.ZipFile(copy, "w") as archive:
        for name, data in changed.items():
            archive.writestr(name, data)
    return copy


def entry(entries, end):
    return next(name for name in entries if name.endswith(end))


def edited(end, change):
    def apply(entries):
        name = entry(entries, end)
        record = json.loads(entries[name])
        change(record)
        return {**entries, name: json.dumps(record).encode()}

    return apply


def first_meta(record):
    return next(iter(record["config"].values()))["tensor_meta"]


BROKEN = {
    "no description": (lambda e: {k: v for k, v in e.items() if "model.json" not in k}, "E1432"),
    "no JSON": (lambda e: {**e, entry(e, "model.json"): b"{"}, "E1432"),
    "deep JSON": (lambda e: {**e, entry(e, "model.json"): b"[" * 200_000}, "E1432"),
    "no graph": (edited("model.json", lambda r: r.pop("graph_module")), "E1432"),
    "reach": (edited("weights_config.json",
                     lambda r: first_meta(r)["sizes"][0].update(as_int=10**9)), "E1432"),
    "negative": (edited("weights_config.json",
                        lambda r: first_meta(r)["strides"][0].update(as_int=-4)), "E1432"),
    "offset": (edited("weights_config.json",
                      lambda r: first_meta(r)["storage_offset"].update(as_int=10**12)), "E1432"),
    "pickled": (edited("weights_config.json",
                       lambda r: next(iter(r["config"].values())).update(use_pickle=True)),
                "E2421"),
    "big endian": (lambda e: {**e, entry(e, "byteorder"): b"big"}, "E1432"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_tampered_archive_ends_in_one_line(name, exported):
    change, code = BROKEN[name]
    with pytest.raises((ModelError, UnsupportedError)) as caught:
        snndeploy.load(rewritten(exported, change), values="spikes")
    assert caught.value.code == code
    assert "\n" not in caught.value.line()


def test_a_compressed_archive_is_refused(exported):
    with zipfile.ZipFile(exported) as archive:
        names = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(exported, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in names.items():
            archive.writestr(name, data)
    with pytest.raises(ModelError, match="E1005"):
        snndeploy.load(exported, values="spikes")
