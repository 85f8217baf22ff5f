"""Small networks, one per thing that Lava could do otherwise; every name says which."""

from dataclasses import replace

import numpy as np

from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.neurons import LIF, gate, integrator, lif
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, sparse_from_dense

P, B = 6, 4
CASES = {}


def case(make):
    """Register a function rng -> (network, inputs) as a case of its name."""
    CASES[make.__name__] = make(np.random.default_rng(len(CASES)))
    return make


def even(rng, shape, spread=60):
    """Return even weights of both signs."""
    return 2 * rng.integers(-spread, spread, size=shape)


def frames(rng, shape, *, rate=0.3, low=0, high=1, steps=P):
    """Return integers [P, B, *shape] in [low, high], most of them 0."""
    active = rng.random((steps, B, *shape)) < rate
    return active * rng.integers(low, high, size=active.shape, endpoint=True)


def network(name, *, source, populations, projections, steps=P):
    """Return a network whose last population is read."""
    top = populations[-1]
    output = Output(
        name="out", population=top.name, shape=top.shape, readout="spikes", decode="sum"
    )
    sources = source if isinstance(source, tuple) else (source,)
    return Network(
        name=name, steps=steps, sources=sources, populations=populations,
        projections=projections, outputs=(output,),
    )  # fmt: skip


def population(name, shape, wave, **params):
    """Return a population of lif."""
    settings = {"du": 4095, "dv": 200, "vth": 100, **params}
    return Population(name=name, shape=shape, program=LIF, params=lif(**settings), wave=wave)


def single(name, rng, synapse, *, source=None, inputs=None, shape=None, steps=P, **options):
    """Return source -> one population through one projection, with inputs."""
    source = source or Source(name="in", shape=(synapse.n_in,))
    values = frames(rng, source.shape, steps=steps) if inputs is None else inputs
    params = options.pop("params", {})
    target = population("p", shape or (synapse.n_out,), 1 + options.get("delay", 0), **params)
    link = Projection(name="in_p", source="in", target="p", synapse=synapse, **options)
    made = network(name, source=source, populations=(target,), projections=(link,), steps=steps)
    return made, {"in": values}


@case
def dense_two_layers_with_biases_and_resets(rng):
    first = population(
        "a", (9,), 1, du=1000, vth=150, bias_mant=rng.integers(-60, 120, 9), bias_exp=6
    )
    second = population("b", (5,), 2, du=4095, dv=0, vth=200, bias_mant=70, bias_exp=5)
    links = (
        Projection(name="x", source="in", target="a", synapse=Dense(weight=even(rng, (9, 12)))),
        Projection(name="y", source="a", target="b", synapse=Dense(weight=even(rng, (5, 9)))),
    )
    made = network(
        "biases", source=Source(name="in", shape=(12,)), populations=(first, second),
        projections=links,
    )  # fmt: skip
    return made, {"in": frames(rng, (12,))}


@case
def conv_odd_sizes_stride_padding_dilation_groups(rng):
    conv = Conv(
        weight=even(rng, (6, 2, 3, 2)), in_shape=(4, 9, 7), stride=(2, 1), padding=(1, 2),
        dilation=(2, 3), groups=2,
    )  # fmt: skip
    source = Source(name="in", shape=(4, 9, 7))
    return single("conv", rng, conv, source=source, shape=conv.out_shape)


@case
def conv_then_conv_then_dense_keeps_chw_order(rng):
    one = Conv(weight=even(rng, (3, 2, 3, 3)), in_shape=(2, 7, 5), padding=(1, 0))
    two = Conv(weight=even(rng, (4, 3, 2, 3)), in_shape=one.out_shape, stride=(1, 2))
    populations = (
        population("a", one.out_shape, 1),
        population("b", two.out_shape, 2),
        population("c", (6,), 3),
    )
    head = Dense(weight=even(rng, (6, two.n_out)))
    links = (
        Projection(name="x", source="in", target="a", synapse=one),
        Projection(name="y", source="a", target="b", synapse=two),
        Projection(name="z", source="b", target="c", synapse=head),
    )
    source = Source(name="in", shape=(2, 7, 5))
    made = network("order", source=source, populations=populations, projections=links)
    return made, {"in": frames(rng, (2, 7, 5))}


@case
def conv_with_weight_exp_is_listed(rng):
    conv = Conv(weight=even(rng, (3, 2, 3, 3)), in_shape=(2, 6, 5), padding=(1, 1))
    source = Source(name="in", shape=(2, 6, 5))
    params = {"vth": 800}
    return single("conv_exp", rng, conv, source=source, weight_exp=3, params=params)


@case
def conv_with_delay_is_listed(rng):
    conv = Conv(weight=even(rng, (3, 1, 3, 1)), in_shape=(1, 6, 5), padding=(1, 0))
    return single("conv_delay", rng, conv, source=Source(name="in", shape=(1, 6, 5)), delay=2)


@case
def conv_of_130_groups_is_listed(rng):
    conv = Conv(weight=even(rng, (130, 1, 1, 2)), in_shape=(130, 2, 2), groups=130)
    return single("groups", rng, conv, source=Source(name="in", shape=(130, 2, 2)))


@case
def conv_of_127_groups_is_native(rng):
    conv = Conv(weight=even(rng, (127, 1, 1, 2)), in_shape=(127, 1, 2), groups=127)
    return single("groups127", rng, conv, source=Source(name="in", shape=(127, 1, 2)))


@case
def conv_wider_than_127_pixels(rng):
    conv = Conv(weight=even(rng, (2, 1, 1, 5)), in_shape=(1, 1, 150), padding=(0, 60))
    return single("wide", rng, conv, source=Source(name="in", shape=(1, 1, 150)))


@case
def conv_one_dimensional(rng):
    conv = Conv(weight=even(rng, (4, 3, 1, 4)), in_shape=(3, 1, 17), stride=(1, 3))
    return single("conv1d", rng, conv, source=Source(name="in", shape=(3, 1, 17)))


@case
def pool_with_padding_and_overlap(rng):
    pool = Pool(in_shape=(3, 7, 6), kernel=(3, 2), stride=(2, 1), padding=(1, 1), weight=62)
    return single("pool", rng, pool, source=Source(name="in", shape=(3, 7, 6)))


@case
def one_to_one_of_both_signs(rng):
    return single("one", rng, OneToOne(weight=even(rng, 20, 120)), params={"vth": 60})


@case
def sparse_with_negative_exponent_floors_the_sum(rng):
    weight = even(rng, (8, 30)) * (rng.random((8, 30)) < 0.4)
    return single("floor", rng, sparse_from_dense(weight), weight_exp=-3, params={"vth": 4})


@case
def dense_with_negative_exponent_floors_the_sum(rng):
    return single(
        "floor_dense", rng, Dense(weight=even(rng, (8, 20))), weight_exp=-4, params={"vth": 2}
    )


@case
def dense_with_delay_and_exponent(rng):
    return single(
        "delay", rng, Dense(weight=even(rng, (7, 11))), delay=3, weight_exp=-2,
        params={"vth": 15},
    )  # fmt: skip


@case
def sparse_with_the_longest_delay(rng):
    weight = even(rng, (5, 9)) * (rng.random((5, 9)) < 0.7)
    return single("delay63", rng, sparse_from_dense(weight), delay=63)


@case
def dense_with_the_longest_delay(rng):
    return single("dense63", rng, Dense(weight=even(rng, (4, 6))), delay=63)


@case
def graded_source_into_dense_signed(rng):
    source = Source(name="in", shape=(10,), low=-128, high=127, encoding="graded")
    values = frames(rng, (10,), low=-128, high=127, rate=0.8)
    return single(
        "graded", rng, Dense(weight=even(rng, (6, 10))), source=source, inputs=values,
        params={"vth": 9000},
    )  # fmt: skip


@case
def graded_source_into_conv_unsigned(rng):
    source = Source(name="in", shape=(2, 6, 5), low=0, high=255, encoding="graded")
    conv = Conv(weight=even(rng, (4, 2, 3, 3)), in_shape=(2, 6, 5), padding=(1, 1))
    values = frames(rng, (2, 6, 5), low=0, high=255, rate=0.9)
    return single("graded_conv", rng, conv, source=source, inputs=values, params={"vth": 9000})


@case
def graded_source_of_24_bits_into_sparse_with_delay(rng):
    source = Source(name="in", shape=(8,), low=-(2**23), high=2**23 - 1, encoding="graded")
    weight = 2 * rng.integers(-3, 4, size=(6, 8)) * (rng.random((6, 8)) < 0.5)
    values = frames(rng, (8,), low=-(2**23), high=2**23 - 1)
    return single(
        "graded24", rng, sparse_from_dense(weight), source=source, inputs=values, delay=1,
        weight_exp=-9, params={"vth": 9000},
    )  # fmt: skip


@case
def excitatory_weights_with_255(rng):
    weight = rng.integers(0, 256, size=(6, 9))
    weight[0, :3] = 255, 1, 0
    return single("exc", rng, Dense(weight=weight), sign_mode="excitatory", params={"vth": 300})


@case
def inhibitory_weights_against_a_bias(rng):
    weight = -rng.integers(0, 256, size=(6, 9))
    weight[0, :3] = -255, -1, 0
    return single(
        "inh", rng, Dense(weight=weight), sign_mode="inhibitory",
        params={"vth": 700, "bias_mant": 500, "bias_exp": 6},
    )  # fmt: skip


@case
def mixed_mode_with_only_negative_weights_and_minus_256(rng):
    weight = -2 * rng.integers(0, 129, size=(6, 9))
    weight[0, :2] = -256, 0
    return single(
        "minus256", rng, Dense(weight=weight),
        params={"vth": 700, "bias_mant": 500, "bias_exp": 6},
    )  # fmt: skip


@case
def three_weight_bits_in_every_sign_mode(rng):
    mixed = Dense(weight=64 * rng.integers(-4, 4, size=(5, 8)))
    positive = sparse_from_dense(32 * rng.integers(0, 8, size=(5, 8)))
    negative = sparse_from_dense(-32 * rng.integers(0, 8, size=(5, 8)))
    links = tuple(
        Projection(
            name=mode, source="in", target="p", synapse=synapse, sign_mode=mode, weight_bits=3
        )
        for mode, synapse in (
            ("mixed", mixed), ("excitatory", positive), ("inhibitory", negative),
        )
    )  # fmt: skip
    source = Source(name="in", shape=(8,))
    target = population("p", (5,), 1, vth=120)
    made = network("bits", source=source, populations=(target,), projections=links)
    return made, {"in": frames(rng, (8,))}


@case
def all_zero_weights_in_every_format(rng):
    zeros = np.zeros((5, 8), dtype=np.int64)
    links = (
        Projection(name="d", source="in", target="p", synapse=Dense(weight=zeros)),
        Projection(name="s", source="in", target="p", synapse=sparse_from_dense(zeros)),
        Projection(name="dd", source="in", target="p", synapse=Dense(weight=zeros), delay=1),
        Projection(
            name="ds", source="in", target="p", synapse=sparse_from_dense(zeros), delay=1,
            sign_mode="inhibitory",
        ),
        Projection(
            name="c", source="in", target="p",
            synapse=Conv(weight=np.zeros((5, 8, 1, 1)), in_shape=(8, 1, 1)),
        ),
    )  # fmt: skip
    target = population("p", (5,), 1, vth=300, bias_mant=rng.integers(60, 200, 5), bias_exp=6)
    source = Source(name="in", shape=(8,))
    made = network("zeros", source=source, populations=(target,), projections=links)
    return made, {"in": frames(rng, (8,))}


@case
def residual_fan_in_of_conv_skip_and_second_source(rng):
    one = Conv(weight=even(rng, (2, 2, 3, 3)), in_shape=(2, 5, 4), padding=(1, 1))
    skip = OneToOne(weight=np.full(40, 100))
    extra = Dense(weight=even(rng, (40, 3)))
    populations = (population("a", (2, 5, 4), 1), population("b", (2, 5, 4), 2, vth=150))
    links = (
        Projection(name="x", source="in", target="a", synapse=one),
        Projection(name="y", source="a", target="b", synapse=one),
        Projection(name="skip", source="in", target="b", synapse=skip, delay=1),
        Projection(name="again", source="a", target="b", synapse=one),
        Projection(name="extra", source="more", target="b", synapse=extra, delay=1),
    )
    sources = (Source(name="in", shape=(2, 5, 4)), Source(name="more", shape=(3,)))
    made = network("residual", source=sources, populations=populations, projections=links)
    return made, {"in": frames(rng, (2, 5, 4)), "more": frames(rng, (3,))}


@case
def a_loop_feeds_back_one_step_later(rng):
    loop = population("p", (8,), 1, du=2000, vth=180)
    links = (
        Projection(name="x", source="in", target="p", synapse=Dense(weight=even(rng, (8, 6)))),
        Projection(name="r", source="p", target="p", synapse=Dense(weight=even(rng, (8, 8)))),
    )
    source = Source(name="in", shape=(6,))
    made = network("loop", source=source, populations=(loop,), projections=links)
    return made, {"in": frames(rng, (6,))}


@case
def u_wraps_and_v_clips(rng):
    weight = 2 * rng.integers(-128, 128, size=(6, 40))
    return single(
        "wild", rng, Dense(weight=weight), weight_exp=7, steps=24,
        params={"du": 300, "dv": 0, "vth": 131071, "bias_mant": np.array([4095, -4096] * 3),
                "bias_exp": 7},
    )  # fmt: skip


@case
def registers_at_their_ends(rng):
    kinds = {
        "none": {"du": -1, "dv": 4096},
        "all": {"du": 4095, "dv": 0},
        "mid": {"du": 0, "dv": 4095, "bias_exp": np.array([0, 1, 2, 3, 4, 5, 6, 7])},
    }
    populations = tuple(
        population(name, (8,), 1, vth=vth, bias_mant=rng.integers(-4096, 4096, 8), **params)
        for vth, (name, params) in zip((90, 0, 250), kinds.items(), strict=True)
    )
    links = tuple(
        Projection(
            name=f"to_{p.name}", source="in", target=p.name,
            synapse=Dense(weight=even(rng, (8, 6))),
        )
        for p in populations
    )  # fmt: skip
    source = Source(name="in", shape=(6,))
    made = network("registers", source=source, populations=populations, projections=links)
    return made, {"in": frames(rng, (6,))}


@case
def gate_and_integrator(rng):
    weight = np.full((4, 10), 20)
    populations = (
        Population(name="or", shape=(4,), program=LIF, params=gate(vth=39), wave=1),
        Population(name="sum", shape=(3,), program=LIF, params=integrator(bias_mant=5), wave=2),
    )
    links = (
        Projection(name="x", source="in", target="or", synapse=Dense(weight=weight)),
        Projection(name="y", source="or", target="sum", synapse=Dense(weight=even(rng, (3, 4)))),
    )
    source = Source(name="in", shape=(10,))
    made = network("gate", source=source, populations=populations, projections=links)
    return made, {"in": frames(rng, (10,), rate=0.2)}


@case
def one_step_per_sample(rng):
    return single("single_step", rng, Dense(weight=even(rng, (7, 9))), steps=1)


@case
def two_parts_that_are_not_connected(rng):
    populations = (
        population("a", (5,), 1),
        population("b", (4,), 1),
        population("alone", (3,), 1, vth=200, bias_mant=np.array([50, 90, 10]), bias_exp=6),
    )
    links = (
        Projection(name="x", source="in", target="a", synapse=Dense(weight=even(rng, (5, 6)))),
        Projection(name="y", source="more", target="b", synapse=Dense(weight=even(rng, (4, 6)))),
    )
    sources = tuple(Source(name=name, shape=(6,)) for name in ("in", "more", "unused"))
    made = network("parts", source=sources, populations=populations, projections=links)
    return made, {source.name: frames(rng, (6,)) for source in sources}


@case
def a_source_that_starts_late(rng):
    made, inputs = single("late_source", rng, Dense(weight=even(rng, (5, 6))), params={"du": 900})
    source = replace(made.sources[0], wave=3)
    target = replace(made.populations[0], wave=4)
    return replace(made, sources=(source,), populations=(target,)), inputs


@case
def a_late_population_is_reset_at_its_own_wave(rng):
    early = population("a", (5,), 1, bias_mant=90, bias_exp=6, vth=250)
    late = population("b", (5,), 8, du=500, dv=0, bias_mant=60, bias_exp=6, vth=260)
    links = (
        Projection(name="x", source="in", target="a", synapse=Dense(weight=even(rng, (5, 6)))),
        Projection(
            name="y", source="a", target="b", synapse=Dense(weight=even(rng, (5, 5))), delay=6
        ),
    )
    source = Source(name="in", shape=(6,))
    made = network("late", source=source, populations=(early, late), projections=links)
    return made, {"in": frames(rng, (6,))}
