"""Step times of networks small enough to add up by hand, at every level.

Latencies are those of the table `sanafe`: axon in 16, synapse 3.8, neuron 6 or 9.7, spike 30, axon
out 5.1 ns; network: 9 ns from core to port, 4 ns per router, two lanes, 8 places in each FIFO.
"""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from test_counts import net, placed, run

from hwtargets.simulator import SIMULATOR
from hwtargets.simulator.flit import run_flit
from hwtargets.simulator.flows import Fabric, Flows
from hwtargets.simulator.mesh import Mesh, routes
from hwtargets.simulator.queue import run_queue
from snndeploy.energy import BOTTLENECKS, HOST, LEVELS
from snndeploy.errors import ModelError
from snndeploy.target import load_chip

LOIHI1 = load_chip(Path(__file__).parents[2] / "hwtargets" / "chips" / "loihi1.toml")
CHIP = replace(LOIHI1, latencies=LOIHI1.other_latencies["sanafe"])
NS = 1e-9
ZERO = np.zeros(2, dtype=np.int64)
MADE, TAKEN, SEND, PORT, ROUTER = 9.7 + 30 + 5.1, 16 + 3.8, 5.1, 9, 4
"""A neuron that fires into one core, a message of one synapse taken, one more message."""


def timed(network, placement, level, chip=CHIP, frames=(((1,),))):
    return SIMULATOR.run(
        network, {"x": np.array([frames])}, record=(), placement=placement, chip=chip, timing=level
    ).timing


def chain(*goals):
    """Return p1 (one neuron on core 0) -> p2 (a neuron on each of some cores)."""
    network = net([[[2]], [[2]] * len(goals)])
    places = [(core, "p2", k, k + 1) for k, core in enumerate(goals)]
    return network, placed((0, "p1", 0, 1), *places)


def core(x, y, k=0):
    return 4 * (4 * x + y) + k


def step_ns(level, *goals):
    timing = timed(*chain(*goals), level)
    return (timing.step_s[1] - timing.barrier_s) / NS


def test_one_spike_over_one_synapse():
    assert step_ns("bound", core(0, 0, 1)) == pytest.approx(MADE)
    assert step_ns("queue", core(0, 0, 1)) == pytest.approx(MADE + PORT + ROUTER + TAKEN)
    assert step_ns("flit", core(0, 0, 1)) == pytest.approx(45 + PORT + ROUTER + 20)


def test_a_core_is_busy_with_what_the_host_sends():
    timing = timed(*chain(core(0, 0, 1)), "queue")
    assert timing.core_s[0, 0] == pytest.approx(TAKEN * NS)
    assert timing.core_s[:, 1] == pytest.approx(np.array([MADE, 77.6, 0]) * NS)


@pytest.mark.parametrize(("tile", "hops"), [((1, 0), 1), ((0, 1), 1), ((3, 1), 4), ((7, 3), 10)])
def test_every_hop_takes_a_router(tile, hops):
    want = MADE + PORT + (hops + 1) * ROUTER + TAKEN
    assert step_ns("queue", core(*tile)) == pytest.approx(want)
    assert step_ns("flit", core(*tile)) == pytest.approx(45 + PORT + (hops + 1) * ROUTER + 20)
    assert step_ns("bound", core(*tile)) == pytest.approx(MADE)


def test_hops_along_x_and_y_may_differ():
    def other(value):
        return replace(CHIP.latencies["hop_y"], value=Decimal(value))

    slow = replace(CHIP, latencies={**CHIP.latencies, "hop_y": other("7E-9")})
    timing = timed(*chain(core(2, 3)), "queue", slow)
    want = MADE + PORT + 2 * 4 + 3 * 7 + ROUTER + TAKEN
    assert (timing.step_s[1] - timing.barrier_s) / NS == pytest.approx(want)


def test_fan_out_to_two_cores_sends_one_after_the_other():
    goals = core(0, 0, 1), core(0, 0, 2)
    assert step_ns("bound", *goals) == pytest.approx(MADE + SEND)
    assert step_ns("queue", *goals) == pytest.approx(MADE + SEND + PORT + ROUTER + TAKEN)


@pytest.mark.parametrize(
    ("n_tiles", "microseconds"),
    [(1, 0.6), (2, 1.0), (3, 1.0), (4, 1.4), (28, 1.4), (29, 1.8), (32, 1.8)],
)
def test_barrier_by_tiles(n_tiles, microseconds):
    network = net([[[2]] * n_tiles])
    placement = placed(*((4 * k, "p1", k, k + 1) for k in range(n_tiles)))
    for level in LEVELS:
        timing = timed(network, placement, level)
        assert timing.barrier_s == pytest.approx(microseconds * 1e-6)
        assert timing.step_s[1] == pytest.approx(timing.barrier_s + 39.7 * NS, abs=0.4 * NS)


def fabric(pointer, links, n_links, flits=1):
    return Fabric(
        pointer=pointer, route=links, hop=np.full(n_links, 4), within=4, interface=9, lanes=2,
        flits=flits, depth=8, room=8, service=1,
    )  # fmt: skip


def stream(run_level, n, *, work=1000, hops=0):
    """Return when a core has made n messages, one every 10, and when the other has taken them."""
    mesh = Mesh((8, 1))
    pointer, links = routes(mesh, [(0, 0), (hops, 0)])
    flows = Flows(
        first=np.array([0, n, n]), goal=np.ones(n, dtype=np.int32), made=np.full(n, 10),
        work=np.full(n, work, dtype=np.int32), tail=ZERO, backlog=ZERO,
    )  # fmt: skip
    answer = {"queue": run_queue, "flit": run_flit}[run_level](
        flows, fabric(pointer, links, len(mesh.links))
    )
    return answer[0, 0], answer[1, 1]


def test_a_full_fifo_stops_its_sender():
    # 8 messages wait before the core and 8 in each lane of the port: one is worked on, 25 in all.
    assert stream("queue", 25) == (250, 23 + 25 * 1000)
    assert stream("queue", 26) == (1023, 23 + 26 * 1000)
    sent, taken = stream("flit", 26)
    assert stream("flit", 25) == (250, 23 + 25 * 1000)
    assert sent > 1000
    assert taken == 23 + 26 * 1000
    # Every router on the way holds 16 more.
    assert stream("queue", 25 + 2 * 16, hops=2)[0] == 570
    assert stream("queue", 26 + 2 * 16, hops=2)[0] > 1000


def test_a_message_of_several_flits_takes_a_link_as_many_cycles():
    mesh = Mesh((4, 1))
    pointer, links = routes(mesh, [(0, 0), (3, 0)])
    flows = Flows(
        first=np.array([0, 1, 1]), goal=np.ones(1, dtype=np.int32), made=np.array([10]),
        work=np.array([7], dtype=np.int32), tail=ZERO, backlog=ZERO,
    )  # fmt: skip
    for flits in (1, 2, 5):
        answer = run_flit(flows, fabric(pointer, links, len(mesh.links), flits))
        assert answer[1, 1] == 10 + (flits - 1) + 9 + 3 * 4 + 4 + 7


def test_what_decides_a_step_is_named():
    def state(timing, step):
        return BOTTLENECKS[timing.bottleneck[step]]

    compute = timed(*chain(core(0, 0, 1)), "bound")
    assert state(compute, 1) == "compute"
    assert compute.critical_core.tolist() == [0, 0, core(0, 0, 1)]
    assert compute.critical_link.tolist() == [-1, -1, -1]
    many = net([[[2]] * 40])
    memory = timed(many, placed((0, "p1", 0, 40)), "bound", replace(CHIP, latencies={
        **CHIP.latencies, "synaptic_op": replace(CHIP.latencies["synaptic_op"], value=Decimal(1))
    }))  # fmt: skip
    assert state(memory, 0) == "memory"
    goals = [core(x, y) for x in range(1, 6) for y in range(4)]
    traffic = timed(*chain(*goals), "bound")
    assert state(traffic, 1) == "traffic"
    name = traffic.links[traffic.critical_link[1]]
    assert name == "(0,0)>(1,0)"
    assert traffic.link_s[traffic.critical_link[1], 1] == pytest.approx(20 * NS / 2)


def test_a_link_can_be_the_bound():
    slow = {**CHIP.network, "flit_time": replace(CHIP.network["flit_time"], value=Decimal("1E-6"))}
    timing = timed(*chain(core(1, 0), core(2, 0)), "bound", replace(CHIP, network=slow))
    assert timing.step_s[1] - timing.barrier_s == pytest.approx(1e-6)
    assert BOTTLENECKS[timing.bottleneck[1]] == "traffic"


def test_cycles_are_of_the_declared_unit():
    timing = timed(*chain(core(0, 0, 1)), "bound")
    assert (timing.cycle_s, timing.cycle_kind) == (1e-9, "reference")
    assert timing.core_cycles[:, 1].tolist() == [45, 20, 0]
    assert timed(*chain(core(0, 0, 1)), "bound", replace(CHIP, clock=None)).core_cycles is None


def test_what_a_chip_does_not_state_is_listed_and_never_zero_unsaid():
    timing = timed(*chain(core(1, 0)), "bound", LOIHI1)
    assert timing.missing == ("axon_in", "spike")
    bare = replace(CHIP, network={})
    assert timed(*chain(core(1, 0)), "bound", bare).missing == ("links",)
    assert timed(*chain(core(0, 0, 1)), "bound", bare).missing == ()
    for level in ("queue", "flit"):
        with pytest.raises(ModelError, match=r"E3007.*needs lanes, flits_per_message"):
            timed(*chain(core(1, 0)), level, bare)


def test_the_weakest_number_used_grades_the_time():
    assert timed(*chain(core(0, 0, 1)), "bound").grade == "fitted"
    assumed = {**CHIP.network, "interface": replace(CHIP.network["interface"], grade="assumed")}
    chip = replace(CHIP, network=assumed)
    assert timed(*chain(core(0, 0, 1)), "bound", chip).grade == "fitted"
    assert timed(*chain(core(0, 0, 1)), "queue", chip).grade == "assumed"


def test_routes_go_along_x_first():
    mesh = Mesh((3, 3))
    way = [mesh.links[link] for link in mesh.route((0, 2), (2, 0))]
    assert way == [((0, 2), (1, 2)), ((1, 2), (2, 2)), ((2, 2), (2, 1)), ((2, 1), (2, 0))]
    assert mesh.route((1, 1), (1, 1)) == ()
    assert len(mesh.links) == 2 * (2 * 3 + 3 * 2)


def test_counts_are_those_without_a_chip():
    network, placement = chain(core(0, 0, 1))
    assert run(network, [[[1]]], placement).timing is None
    counts = run(network, [[[1]]], placement, CHIP).counts
    assert counts.cores[-1] == HOST
