"""What the tracer cannot deploy exactly it refuses by name, with the path and what to do."""

import pytest
import snntorch as snn
import torch
from snntorch import utils
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import nn
from torch.nn.functional import dropout, max_pool2d, pad, relu

from snndeploy.errors import ModelError, SnnDeployError, UnsupportedError, UsageError
from snndeploy.frontends.torch_module import ImportOptions, import_module


def leaky(**options):
    return snn.Leaky(beta=0.9, init_hidden=True, **{"reset_mechanism": "zero", **options})


class Forward(nn.Module):
    """A module with two layers and a neuron, and any forward."""

    def __init__(self, forward, node=None):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.bn = nn.BatchNorm2d(2)
        self.fc = nn.Linear(4, 4)
        self.grouped = nn.Conv2d(2, 2, 3, groups=2)
        self.lif = node or neuron.LIFNode()
        self.lif2 = neuron.IFNode()
        self.steps = 3
        self.function = forward

    def forward(self, x):
        return self.function(self, x)


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.lif = neuron.LIFNode()

    def forward(self, _, y):
        return self.lif(self.fc(y))


class StateFromNowhere(nn.Module):
    def __init__(self):
        super().__init__()
        self.lif = snn.Leaky(beta=0.9, reset_mechanism="zero")
        self.register_buffer("start", torch.ones(1))

    def forward(self, x):
        return self.lif(x, self.start)[0]


class MembraneOnly(nn.Module):
    def __init__(self):
        super().__init__()
        self.lif = snn.Leaky(beta=0.9, reset_mechanism="zero")

    def forward(self, x, mem):
        return self.lif(x, mem)[1]


class StartsAnew(nn.Module):
    def __init__(self, start):
        super().__init__()
        self.lif = snn.Leaky(beta=0.9)
        self.start = start

    def forward(self, x):
        return self.lif(x, self.start(self.lif))[0]


class ResetsHidden(nn.Module):
    def __init__(self, n_steps=1):
        super().__init__()
        self.lif = leaky()
        self.n_steps = n_steps

    def forward(self, x):
        for _ in range(self.n_steps):
            utils.reset(self)
            spikes = self.lif(x)
        return spikes


class SharedNeuron(nn.Module):
    """One neuron between two layers, called a second time behind them, in a container's step."""

    def __init__(self):
        super().__init__()
        self.lif = neuron.IFNode()
        self.body = layer.MultiStepContainer(self.lif, nn.Linear(4, 4), self.lif)

    def forward(self, x):
        return self.body(x)


class OwnNeuron(neuron.LIFNode):
    """A user's subclass may do anything."""


def uneven_loop(self, x):
    for step in range(self.steps):
        spikes = self.lif(self.fc(x) if step else x)
    return spikes


def feedback_loop(self, x):
    spikes = self.lif(self.fc(x))
    for _ in range(self.steps):
        spikes = self.lif(self.fc(spikes))
    return spikes


def loop_over_unknown(self, x):
    return [self.lif(self.fc(x[t])) for t in range(int(x.sum()))]


def stacked_backwards(self, x):
    return torch.stack([self.lif(self.fc(x)) for _ in range(3)][::-1])


def stacked_behind_the_batch(self, x):
    return torch.stack([self.lif(self.fc(x)) for _ in range(3)], dim=1)


def time_behind_the_batch(self, x):
    return torch.stack([self.lif(self.fc(x[:, t])) for t in range(3)])


def changed_in_place(self, x):
    before = y = self.fc(x)
    y += x
    return self.lif(y), self.lif2(before)


def twice_read(self, x):
    y = self.conv(x)
    return self.lif(self.bn(y)), y


def image(net):
    return net, torch.rand(1, 1, 8, 8)


def vector(net):
    return net, torch.rand(1, 4)


REFUSED = {
    "reset by subtraction in the same step": (
        vector(
            nn.Sequential(nn.Linear(4, 4), leaky(reset_mechanism="subtract", reset_delay=False))
        ),
        "E2003",
        "1: reset by subtraction with reset_delay=False.*use reset_delay=True",
    ),
    "synaptic with delay": (
        vector(snn.Synaptic(alpha=0.9, beta=0.8, init_hidden=True, reset_mechanism="zero")),
        "E2003",
        "drops one step of input.*reset_delay=False",
    ),
    "max pool before the neuron": (
        image(nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), neuron.IFNode())),
        "E2004",
        "1: max pooling of real values.*pool-after-neuron.*swaps.*the neuron that follows 1",
    ),
    "max pool as a function": (
        image(Forward(lambda self, x: self.lif(max_pool2d(self.conv(x), 2)))),
        "E2004",
        "max pooling of real values",
    ),
    "batch norm after the pool": (
        image(nn.Sequential(nn.AvgPool2d(2), nn.BatchNorm2d(1), neuron.IFNode())),
        "E2005",
        "1: batch normalisation can only be folded.*AvgPool2d 0",
    ),
    "batch norm of a shared layer": (
        image(Forward(twice_read)),
        "E2005",
        "bn: batch normalisation",
    ),
    "mixed step modes": (
        vector(nn.Sequential(layer.Linear(4, 4, step_mode="m"), neuron.IFNode())),
        "E2006",
        "1 has step_mode 's', 0 has 'm'.*set_step_mode",
    ),
    "torch's convolution over time": (
        (
            nn.Sequential(nn.Conv2d(1, 2, 3), neuron.IFNode(step_mode="m")),
            torch.rand(2, 1, 1, 8, 8),
        ),
        "E2006",
        r"0: Conv2d takes one step, but gets \[T, B, …\] \(2, 1, 1, 8, 8\).*SeqToANNContainer",
    ),
    "steps that differ": (
        vector(Forward(uneven_loop)), "E2024", "lif: takes something else in step 1 than in step 0"
    ),
    "feedback in the loop": (
        vector(Forward(feedback_loop)), "E2024", "lif: call 2 takes a value of step 0"
    ),
    "a loop over values": (vector(Forward(loop_over_unknown)), "E2007", "cannot be traced"),
    "steps in another order": (vector(Forward(stacked_backwards)), "E2024", "in order"),
    "steps behind the batch": (
        vector(Forward(stacked_behind_the_batch)), "E2026", "dimension 1.*dimension 0"
    ),
    "time behind the batch": (
        (Forward(time_behind_the_batch), torch.rand(2, 3, 4)), "E2026", "getitem: takes the part"
    ),
    "two steps together": (
        vector(Forward(lambda self, x: torch.maximum(self.lif(x), self.lif(x)))),
        "E2025",
        "maximum: combines values of different steps",
    ),
    "a condition on values": (
        vector(Forward(lambda self, x: self.lif(x) if x.sum() > 0 else x)),
        "E2007",
        "forward cannot be traced: symbolically traced variables",
    ),
    "an unknown layer": (
        vector(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), neuron.IFNode())),
        "E2001",
        "1: layer ReLU is not supported",
    ),
    "a near miss": (
        image(nn.Sequential(nn.Conv3d(1, 2, 3), neuron.IFNode())),
        "E2001",
        "0: layer Conv3d is not supported; help: use Conv",
    ),
    "an unknown operation": (
        vector(Forward(lambda self, x: self.lif(relu(self.fc(x))))),
        "E2001",
        "relu: forward applies 'relu'",
    ),
    "a part of the features": (
        vector(Forward(lambda self, x: self.lif(self.fc(x[:, :1])))), "E2018", "getitem: takes"
    ),
    "a sum that broadcasts": (
        image(Forward(lambda self, x: self.lif(self.conv(x) + x))),
        "E2013",
        r"add: combines \[B, …\] \(1, 2, 6, 6\) with \[B, …\] \(1, 1, 8, 8\)",
    ),
    "a vector added": (
        vector(Forward(lambda self, x: self.lif(self.fc(x) + torch.arange(4)))), "E2013", "neither"
    ),
    "a product of currents": (
        vector(Forward(lambda self, x: self.lif(self.fc(x) * x))),
        "E2014",
        "mul: multiplies or joins real values.*behind the neurons",
    ),
    "a maximum of currents": (
        vector(Forward(lambda self, x: self.lif(torch.maximum(self.fc(x), x)))), "E2014", "maximum"
    ),
    "a clamp of currents": (
        vector(Forward(lambda self, x: self.lif(self.fc(x).clamp(max=1)))), "E2014", "clamps to"
    ),
    "a number added": (
        vector(Forward(lambda self, x: self.lif(self.fc(x) + 1))), "E2015", "lif: gets fc plus"
    ),
    "a gate that fires at rest": (
        vector(Forward(lambda self, x: (1 - self.lif(self.fc(x))) * (1 - self.lif2(x)))),
        "E2016",
        "mul: fires while",
    ),
    "a concatenation of samples": (
        vector(Forward(lambda self, x: self.lif(torch.cat([x, x])))),
        "E2017",
        "cat: concatenates.*dimension 0",
    ),
    "a concatenation returned": (
        vector(Forward(lambda self, x: torch.cat([self.lif(x), self.fc(x)], 1))), "E2017", "parts"
    ),
    "a grouped convolution of a concatenation": (
        image(Forward(lambda self, x: self.lif(self.grouped(torch.cat([x, x], 1))))),
        "E2017",
        "grouped: a grouped convolution",
    ),
    "a crop": (
        image(Forward(lambda self, x: self.lif(x[:, :, 1:-1, 1:-1]))),
        "E2018",
        r"getitem: takes the part \[:, :, 1:-1, 1:-1\]",
    ),
    "padding on one side": (
        image(Forward(lambda self, x: self.lif(self.conv(pad(x, (0, 1, 0, 1)))))), "E2019", "side"
    ),
    "padding of ones": (
        image(Forward(lambda self, x: self.lif(self.conv(pad(x, (1, 1, 1, 1), value=1.0))))),
        "E2019",
        "value 1",
    ),
    "padding before a neuron": (
        image(Forward(lambda self, x: self.lif(pad(x, (1, 1, 1, 1))))), "E2019", "border of zeros"
    ),
    "a sum changed in place": (
        vector(Forward(changed_in_place)), "E2011", "iadd: fc is changed in place"
    ),
    "a neuron that starts anew at every call": (
        vector(StartsAnew(lambda lif: lif.init_leaky())), "E2028", "lif: forward starts"
    ),
    "a constant state at every call": (
        vector(StartsAnew(lambda _: torch.zeros(1, 4))), "E2028", "loop over time into forward"
    ),
    "hidden states reset at every call": (
        vector(ResetsHidden()), "E2028", "lif: forward starts the neuron anew"
    ),
    "hidden states reset within the loop": (
        vector(ResetsHidden(3)), "E2024", "lif: is reset within the loop"
    ),
    "spikingjelly reset at every call": (
        vector(Forward(lambda self, x: functional.reset_net(self) or self.lif(x))),
        "E2028",
        "lif: forward starts the neuron anew",
    ),
    "a neuron shared within a step": (
        (SharedNeuron(), torch.rand(3, 2, 4)), "E2027", "body.2: the neuron is called more"
    ),
    "an unknown neuron": (
        vector(neuron.QIFNode()), "E2002", "0: spikingjelly module QIFNode.*use"
    ),
    "a user's neuron": (vector(OwnNeuron()), "E2002", "OwnNeuron"),
    "tdBN": (
        (
            nn.Sequential(
                layer.Conv2d(1, 2, 3, step_mode="m"),
                layer.ThresholdDependentBatchNorm2d(1.0, 1.0, num_features=2),
                neuron.IFNode(step_mode="m"),
            ),
            torch.rand(2, 1, 1, 8, 8),
        ),
        "E2002",
        "ThresholdDependentBatchNorm2d is not supported",
    ),
    "padding mode": (
        image(
            nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), neuron.IFNode())
        ),
        "E2008",
        "0: padding_mode='circular'",
    ),
    "padding same, even kernel": (
        image(nn.Sequential(nn.Conv2d(1, 2, 4, padding="same"), neuron.IFNode())),
        "E2008",
        "0: padding 'same' with an even kernel",
    ),
    "ceil mode": (
        image(nn.Sequential(neuron.IFNode(), nn.AvgPool2d(3, ceil_mode=True))),
        "E2008",
        "1: ceil_mode=True with a partial window",
    ),
    "pool without padding's zeros": (
        image(nn.Sequential(neuron.IFNode(), nn.AvgPool2d(2, padding=1, count_include_pad=False))),
        "E2008",
        "count_include_pad",
    ),
    "linear on an image": (
        image(nn.Sequential(nn.Linear(8, 4), neuron.IFNode())), "E2008", "flatten before it"
    ),
    "flatten over the batch": (
        image(nn.Sequential(nn.Flatten(0), neuron.IFNode())), "E2008", "start_dim=0"
    ),
    "another reshape": (
        image(Forward(lambda self, x: self.lif(x.view(1, 4, 16)))), "E2008", "view"
    ),
    "dropout that stays": (
        vector(Forward(lambda self, x: self.lif(dropout(self.fc(x))))), "E2008", "self.training"
    ),
    "half precision": (
        vector(nn.Sequential(nn.Linear(4, 4), neuron.IFNode()).half()), "E2008", "float16"
    ),
    "quantized states": (
        vector(leaky(state_quant=torch.round)), "E2009", "0: option state_quant is not supported"
    ),
    "graded spikes": (vector(leaky(graded_spikes_factor=2.0)), "E2009", "graded_spikes_factor"),
    "a surrogate that does not spike": (
        vector(neuron.IFNode(surrogate_function=surrogate.Sigmoid(spiking=False))),
        "E2009",
        "0: its surrogate function gives",
    ),
    "a threshold of no neuron": (vector(leaky(threshold=-1.0)), "E2009", "not positive"),
    "beta of another shape": (
        vector(leaky(threshold=torch.ones(3))), "E2009", r"threshold has shape \(3,\)"
    ),
    "no neuron": (vector(nn.Sequential(nn.Linear(4, 4))), "E2010", "no spiking neuron"),
    "two inputs": (vector(TwoInputs()), "E2011", "fc: takes something else"),
    "a state from nowhere": (vector(StateFromNowhere()), "E2011", "lif: its initial state"),
    "membrane only": (vector(MembraneOnly()), "E2012", "only states"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name):
    (net, example), code, pattern = REFUSED[name]
    with pytest.raises(UnsupportedError, match=pattern) as caught:
        import_module(net, example, ImportOptions())
    assert caught.value.code == code
    assert caught.value.remedy
    assert "\n" not in caught.value.line()


def test_inhibition_is_refused():
    with pytest.warns(UserWarning, match="Inhibition is an unstable feature"):
        node = leaky(inhibition=True)
    with pytest.raises(UnsupportedError, match=r"E2009.*0: option inhibition"):
        import_module(node, torch.rand(1, 4), ImportOptions())


def test_a_reset_changed_after_construction_is_refused():
    node = leaky(reset_mechanism="subtract")
    node.reset_mechanism = "zero"
    with pytest.raises(UnsupportedError, match=r"E2009.*changed after the neuron was made"):
        import_module(node, torch.rand(1, 4), ImportOptions())


def test_time_inside_is_refused_where_nothing_repeats():
    net = nn.Sequential(layer.Linear(4, 4, step_mode="m"), neuron.IFNode(step_mode="m"))
    with pytest.raises(UnsupportedError, match=r"E2006.*0: Linear takes a sequence"):
        import_module(net, torch.rand(2, 4), ImportOptions(time="inner"))


def test_a_multi_step_net_said_to_be_outside_is_refused():
    net = nn.Sequential(nn.Linear(4, 4), neuron.IFNode(step_mode="m"))
    with pytest.raises(UnsupportedError, match=r"E2006.*IFNode takes a sequence of steps"):
        import_module(net, torch.rand(2, 4), ImportOptions(time="outer"))


@pytest.mark.parametrize(
    ("example", "options"),
    [
        (torch.rand(4), ImportOptions()),
        (torch.empty(0, 4), ImportOptions()),
        (torch.full((1, 4), float("nan")), ImportOptions()),
        (torch.rand(1, 4), ImportOptions(input_range=(1.0, -1.0))),
    ],
)
def test_an_example_without_values_is_refused(example, options):
    with pytest.raises(ModelError, match="E1045"):
        import_module(neuron.IFNode(), example, options)


@pytest.mark.parametrize(
    ("module", "options"),
    [
        ({"0.weight": torch.ones(1)}, ImportOptions()),
        (neuron.IFNode(), ImportOptions(time="outside")),
        (neuron.IFNode(), ImportOptions(decode="vote")),
        (neuron.IFNode(), ImportOptions(values="graded")),
        (neuron.IFNode(), ImportOptions(steps=0)),
    ],
)
def test_arguments_that_do_not_exist(module, options):
    with pytest.raises(UsageError, match="E5040"):
        import_module(module, torch.rand(1, 4), options)


def test_an_example_of_the_wrong_shape_names_the_layer():
    net = nn.Sequential(nn.Conv2d(3, 2, 3), neuron.IFNode())
    with pytest.raises(ModelError, match=r"E1021\] 0: gets shape \(1, 8, 8\), takes \(3, …\)"):
        import_module(net, torch.rand(1, 1, 8, 8), ImportOptions())


def state_of(net):
    tensors = {name: value.clone() for name, value in net.state_dict().items()}
    memories = {
        name: (module.training, getattr(module, "v", None), getattr(module, "mem", None))
        for name, module in net.named_modules()
    }
    return tensors, memories


@pytest.mark.parametrize("works", [True, False])
def test_tracing_leaves_the_module_as_it_is(works):
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), neuron.LIFNode(), nn.Linear(4, 2))
    net.append(leaky() if works else leaky(reset_mechanism="subtract", reset_delay=False))
    net(torch.rand(2, 4))
    net.train()
    net[1].eval()
    tensors, memories = state_of(net)
    try:
        import_module(net, torch.rand(2, 4), ImportOptions())
    except SnnDeployError:
        assert not works
    after, memories_after = state_of(net)
    assert all(torch.equal(after[name], value) for name, value in tensors.items())
    for name, values in memories.items():
        assert all(a is b for a, b in zip(values, memories_after[name], strict=True)), name
    functional.reset_net(net)
