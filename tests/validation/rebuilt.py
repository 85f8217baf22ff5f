"""The published networks, each rebuilt once, and what runs of them say."""

from functools import cache
from itertools import pairwise

import networks
import numpy as np
from networks import Chain, Layer, Node, Ran, active_graph, ones_conv, ones_dense

from snndeploy.ir.network import Network
from snndeploy.ir.synapses import OneToOne, Pool
from snndeploy.mapping.place import place
from snndeploy.registry import find_any_target, find_target
from snndeploy.repricing import PricedRun, price_run
from snndeploy.target import ChipSpec, PricedChip

LEVEL = "bound"
"""How times are taken: as `estimate` does unless told."""


def chip(name: str, prices: str | None = None) -> ChipSpec:
    """Return a modelled chip, by another price table if one is named."""
    found = find_target(name).chip
    return found.with_prices(prices) if prices else found


def priced_chip(name: str, prices: str) -> PricedChip:
    """Return a chip that is priced only, by one of its tables."""
    return find_any_target(name).chip.with_prices(prices)


def keyword_spotter() -> Chain:
    """390-256-256-29, ten steps per inference, every neuron at 100 Hz in steps of 1 ms."""
    rng = np.random.default_rng(1812)
    spikes = (rng.random((10, 8, 390)) < 0.1).astype(np.int64)
    sizes, vths = (390, 256, 256, 29), (231, 221, 199)
    layers = tuple(
        Layer(synapse=networks.dense(rng, n_out, n_in), rate=0.1, vth=vth)
        for n_in, n_out, vth in zip(sizes, sizes[1:], vths, strict=False)
    )
    return Chain(name="keyword_spotter", layers=layers, spikes=spikes, dv=200)


def dvs_gesture() -> Chain:
    """32 x 32 -> 16-32-64-11 channels of 3 x 3 -> 11, all layers at one rate."""
    rate = 51_550_000 / 1000 / 3_564_441
    rng = np.random.default_rng(537)
    spikes = (rng.random((32, 2, 1024)) < rate).astype(np.int64)
    one = networks.conv(rng, 16, (1, 32, 32), stride=(2, 2))
    two = networks.conv(rng, 32, one.out_shape)
    three = networks.conv(rng, 64, two.out_shape)
    four = networks.conv(rng, 11, three.out_shape)
    synapses = (one, two, three, four, networks.dense(rng, 11, four.n_out))
    vths = (46, 198, 233, 347, 415)
    layers = tuple(
        Layer(synapse=s, rate=rate, vth=vth) for s, vth in zip(synapses, vths, strict=True)
    )
    return Chain(name="dvs_gesture", layers=layers, spikes=spikes, dv=200)


def pilotnet(*, on_chip: bool = True) -> Chain:
    """PilotNet as its lava-dl file has it, at the rates of lava-dl's recorded spikes."""
    rng = np.random.default_rng(2022)
    spikes = (rng.random((16, 1, 39_600)) < 0.8871).astype(np.int64)
    one = networks.conv(rng, 24, (3, 66, 200), stride=(2, 2))
    two = networks.conv(rng, 36, one.out_shape, stride=(2, 2))
    three = networks.conv(rng, 48, two.out_shape, stride=(2, 2))
    four = networks.conv(rng, 64, three.out_shape, stride=(2, 1), padding=(1, 0))
    five = networks.conv(rng, 64, four.out_shape)
    sizes = (five.n_out, 100, 50, 10, 1)
    fully = (networks.dense(rng, b, a) for a, b in pairwise(sizes))
    synapses = (one, two, three, four, five, *fully)
    rates = (0.0915, 0.1003, 0.1201, 0.1078, 0.1102, 0.0942, 0.0408, 0.0333, 0.0)
    vths = PILOTNET_VTHS
    layers = tuple(
        Layer(synapse=s, rate=rate, vth=vth)
        for s, rate, vth in zip(synapses, rates, vths, strict=True)
    )
    return Chain(name="pilotnet", layers=layers, spikes=spikes, dv=1024, on_chip=on_chip)


PILOTNET_VTHS = (306, 233, 223, 218, 268, 711, 287, 63, 131071)
PILOTNET_CORES = (13, 25, 13, 3, 3, 2, 12, 1, 1, 1)
"""Cores of the input, five convolutions and four dense layers, as the compiler's log lists them."""
CHAINS = (keyword_spotter, dvs_gesture, pilotnet)


@cache
def ran_keyword_spotter(prices: str) -> Ran:
    """Return the keyword spotter on Loihi."""
    return networks.run_on(*keyword_spotter().network(), chip("loihi1", prices), level=LEVEL)


@cache
def ran_dvs_gesture(prices: str) -> Ran:
    """Return the DVS network on Loihi, 1,024 neurons per core as SANA-FE's example has it."""
    network, inputs = dvs_gesture().network()
    target = chip("loihi1", prices)
    n_cores = {p.name: -(-p.n // 1024) for p in network.populations}
    placement = networks.spread(network, target, n_cores)
    return networks.run_on(network, inputs, target, level=LEVEL, placement=placement)


@cache
def ran_pilotnet() -> Ran:
    """Return PilotNet on Loihi 2, spread over cores as the compiler's log says."""
    network, inputs = pilotnet().network()
    target = chip("loihi2")
    names = [population.name for population in network.populations]
    placement = networks.spread(network, target, dict(zip(names, PILOTNET_CORES, strict=True)))
    return networks.run_on(network, inputs, target, level=LEVEL, placement=placement)


def cores_of(network: Network, target: ChipSpec) -> int:
    """Return the cores our mapper takes; more than the chip has where it does not fit."""
    found = place(network, target)
    if isinstance(found, tuple):
        (too_many,) = (v for v in found if v.rule == "cores")
        return too_many.have
    return len({piece.core for piece in found.slices})


@cache
def on_microcontroller(name: str, prices: str) -> PricedRun:
    """Return an 8-bit network's counts, every value nonzero, priced on a microcontroller."""
    builders = {"resnet8": resnet8, "ds_cnn": ds_cnn, "autoencoder": autoencoder}
    ran = networks.run_on(*builders[name](), chip("loihi2"))
    return price_run(ran.counts, priced_chip("cortex-m", prices), counts_from="loihi2")


@cache
def on_odin() -> PricedRun:
    """Return a full crossbar of ODIN's, every input spiking in every step."""
    network, inputs = active_graph("crossbar", 256, [_node("y", ("x", ones_dense(256, 256)))])
    ran = networks.run_on(network, inputs, chip("loihi2"))
    return price_run(ran.counts, priced_chip("odin", "incremental"), counts_from="loihi2")


def _node(name, *into) -> Node:
    return Node(name=name, into=into)


def resnet8():
    """MLPerf Tiny's image classification: 32 x 32 x 3, three stacks of 16, 32, 64 channels."""
    first = ones_conv(16, (3, 32, 32))
    a = first.out_shape
    halved = ones_conv(32, a, stride=(2, 2))
    b = halved.out_shape
    quartered = ones_conv(64, b, stride=(2, 2))
    c = quartered.out_shape
    same = OneToOne(weight=np.ones(first.n_out, dtype=np.int64))
    return active_graph(
        "resnet8",
        first.n_in,
        [
            _node("first", ("x", first)),
            _node("a1", ("first", ones_conv(16, a))),
            _node("a2", ("a1", ones_conv(16, a)), ("first", same)),
            _node("b1", ("a2", halved)),
            _node("b2", ("b1", ones_conv(32, b)), ("a2", ones_conv(32, a, (1, 1), stride=(2, 2)))),
            _node("c1", ("b2", quartered)),
            _node("c2", ("c1", ones_conv(64, c)), ("b2", ones_conv(64, b, (1, 1), stride=(2, 2)))),
            _node("pool", ("c2", Pool(in_shape=c, kernel=c[1:], stride=c[1:]))),
            _node("class", ("pool", ones_dense(10, 64))),
        ],
    )


def ds_cnn():
    """MLPerf Tiny's keyword spotting: 49 x 10, 10 x 4 kernels, four depthwise separable blocks."""
    first = ones_conv(64, (1, 49, 10), (10, 4), stride=(2, 2), padding=(5, 1))
    shape = first.out_shape
    assert shape == (64, 25, 5)
    nodes, before = [_node("first", ("x", first))], "first"
    for k in range(4):
        nodes.append(_node(f"depth{k}", (before, ones_conv(64, shape, groups=64))))
        nodes.append(_node(f"point{k}", (f"depth{k}", ones_conv(64, shape, (1, 1)))))
        before = f"point{k}"
    nodes.append(_node("pool", (before, Pool(in_shape=shape, kernel=shape[1:], stride=shape[1:]))))
    nodes.append(_node("class", ("pool", ones_dense(12, 64))))
    return active_graph("ds_cnn", first.n_in, nodes)


def autoencoder():
    """MLPerf Tiny's anomaly detection: 640-128x4-8-128x4-640."""
    sizes = (640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640)
    nodes, before = [], "x"
    for k, (n_in, n_out) in enumerate(pairwise(sizes)):
        nodes.append(_node(f"fc{k}", (before, ones_dense(n_out, n_in))))
        before = f"fc{k}"
    return active_graph("autoencoder", 640, nodes)
