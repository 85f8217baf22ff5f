"""Published measurements, and what a rebuilt run answers to each. Facts and their sources only.

A row is `compared` unless a price that it uses comes from the same measurement (`calibrated`), or
only a range was published (`band`). No number of ours stands here: `ours` computes it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import rebuilt
from networks import Ran

from snndeploy.energy import price

Use = Literal["compared", "band", "calibrated"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Measurement:
    """A published number and how we come to ours.

    Attributes:
        value: as published, in `unit`; the middle of a band is not used.
        band: smallest and largest published value.
        source: of the published number, and whether it was looked up again.
        network: what was rebuilt; `activity`: where its rates come from.
        assumed: what had to be assumed.
        remark: why ours differs, as far as we know.
    """

    name: str
    chip: str
    prices: str
    quantity: str
    unit: str
    ours: Callable[[], float]
    value: float = 0.0
    band: tuple[float, float] | None = None
    source: str
    network: str
    activity: str
    assumed: str
    remark: str
    use: Use = "compared"


@dataclass(frozen=True, kw_only=True)
class Left:
    """A published measurement that cannot be rebuilt, and why."""

    name: str
    published: str
    reason: str


def step_j(ran: Ran, chip_name: str, prices: str) -> float:
    """Return nominal joules per step in which every population is in a sample."""
    table = rebuilt.chip(chip_name, prices).prices[prices]
    return float(price(ran.full, table, None).total.nominal) / ran.n_full


def kws_j(prices: str = "davies2018") -> float:
    """Return joules per inference of the keyword spotter: ten steps."""
    return 10 * step_j(rebuilt.ran_keyword_spotter(prices), "loihi1", prices)


def _mcu(network: str, prices: str) -> tuple[Callable[[], float], Callable[[], float]]:
    def seconds() -> float:
        found = rebuilt.on_microcontroller(network, prices).seconds_per_sample
        assert found is not None
        return found

    def joules() -> float:
        found = rebuilt.on_microcontroller(network, prices).dynamic
        assert found is not None
        return float(found.nominal)

    return seconds, joules


def _odin_j() -> float:
    run = rebuilt.on_odin()
    assert run.dynamic is not None
    assert run.static is not None
    return float(run.dynamic.nominal + run.static.nominal) / 256**2


def _mlperf(
    network: str, title: str, told: str, published: dict[str, tuple[float, float]], use: Use
) -> list[Measurement]:
    """Return time and energy of one benchmark on both boards; inferences per second and joules."""
    boards = {"stm32l4r5": "NUCLEO-L4R5ZI, Cortex-M4", "stm32h7a3": "NUCLEO-H7A3ZI-Q, Cortex-M7"}
    rows = []
    for table, board in boards.items():
        per_second, joules = published[table]
        ours = _mcu(network, table)
        facts = zip(("time", "energy"), ("s", "J"), (1 / per_second, joules), ours, strict=True)
        for quantity, unit, value, mine in facts:
            rows.append(
                Measurement(
                    name=f"{title}, {board}", chip="cortex-m", prices=table,
                    quantity=f"{quantity} per inference", unit=unit, value=value, ours=mine,
                    source="MLPerf Tiny v0.7, closed division, STMicroelectronics, result files of "
                    "both boards (median of five windows); looked up again",
                    network=told,
                    activity="every value nonzero: the kernels do not skip zeros",
                    assumed="one synaptic operation costs what one multiply-accumulate of the "
                    "anomaly detector's fully connected layers costs; taps on the padding are not "
                    "counted",
                    remark=MLPERF_REMARKS[network],
                    use=use,
                )
            )  # fmt: skip
    return rows


def _dvs_gesture(prices: str) -> list[Measurement]:
    """Return energy and time per step of SANA-FE's DVS network by one of Loihi's tables."""
    rows = (
        ("energy", "J", (1e-6, 4e-6),
         lambda: step_j(rebuilt.ran_dvs_gesture(prices), "loihi1", prices)),
        ("time", "s", (10e-6, 30e-6), lambda: rebuilt.ran_dvs_gesture(prices).step_s),
    )  # fmt: skip
    return [
        Measurement(
            name="DVS gestures (SANA-FE 2025)", chip="loihi1", prices=prices,
            quantity=f"{quantity} per step", unit=unit, band=band, ours=ours,
            source="Boyle et al., IEEE TCAD 2025, doi 10.1109/TCAD.2025.3537971, plots of steps of "
            "one network on a board; read off, not looked up again",
            network="32 x 32, convolutions of 16, 32, 64, 11 channels of 3 x 3, 11: sizes of "
            "SANA-FE's bundled example (18,678 neurons, 3,564,441 synapses); 1,024 neurons per "
            "core as there",
            activity="one rate for all layers, chosen so that synaptic operations are those of "
            "SANA-FE's example, 51.55 million in 1,000 steps",
            assumed="the plotted recordings are as active as the bundled frame",
            remark="The recordings behind the plots are not public. The third convolution's cores "
            "decide the time; real activity is less even than one rate. In `sanafe` one price and "
            "one latency, the dense format's, stand for all formats; convolutions cost less.",
            use="band",
        )
        for quantity, unit, band, ours in rows
    ]  # fmt: skip


MLPERF_REMARKS = {
    "resnet8": "Convolutions use each weight many times while it is in a register; the price comes "
    "from layers that use it once, as a spike does.",
    "ds_cnn": "Pointwise and depthwise layers cost about what fully connected ones do.",
    "autoencoder": "The constants are these results divided by 264,192 operations.",
}
BLOUW = (
    "Blouw et al., NICE 2019, arXiv 1812.01739, Table 1 and section 2.2.2; looked up again in the "
    "authors' repository abr/power_benchmarks"
)
KWS = (
    "390-256-256-29, fully connected, ten steps per inference (the authors' run logs: 20,000 steps "
    "for 2,000 inferences); 3 cores"
)
KWS_ACTIVITY = (
    "every neuron at 100 Hz in steps of 1 ms, the maximum rate that the authors' training script "
    "sets; measured rates are not published"
)
PILOTNET_SOURCE = "lava-dl's tutorial pilotnet_{} with its recorded output; looked up again"
PILOTNET = (
    "66 x 200 x 3, five convolutions of 24, 36, 48, 64, 64 channels, 100-50-10-1, from the "
    "tutorial's printed network"
)

MEASUREMENTS: tuple[Measurement, ...] = (
    Measurement(
        name="Keyword spotter (Blouw 2019)", chip="loihi1", prices="davies2018",
        quantity="dynamic energy per inference", unit="J", value=0.27e-3, ours=kws_j,
        source=BLOUW, network=KWS, activity=KWS_ACTIVITY,
        assumed="inputs arrive as spikes of the same rate; the host that injects them has no price",
        remark="The authors count as dynamic what the board draws above idle after boot. Of its 81 "
        "mW, 70 mW are drawn at idle too once a model has run, which they ascribe to the embedded "
        "x86 processors. No public price covers these.",
    ),
    Measurement(
        name="Keyword spotter (Blouw 2019)", chip="loihi1", prices="davies2018",
        quantity="energy per inference above idle after a run", unit="J",
        value=(0.081 - 0.070) / 296, ours=kws_j,
        source=BLOUW, network=KWS, activity=KWS_ACTIVITY,
        assumed="as above; 70 mW is the authors' approximate figure, so 11 mW is a small "
        "difference of large ones",
        remark="What is left still holds the processors' work in each of the slow steps and the "
        "barrier, neither of which has a public price.",
    ),
    Measurement(
        name="Keyword spotter (Blouw 2019)", chip="loihi1", prices="davies2018",
        quantity="inferences per second", unit="/s", value=296,
        ours=lambda: 0.1 / rebuilt.ran_keyword_spotter("davies2018").step_s,
        source=BLOUW, network=KWS, activity=KWS_ACTIVITY,
        assumed="steps follow each other without waiting for the host",
        remark="The authors' text says that input and output through the software of the time held "
        "the chip back by up to an order of magnitude; a step took 338 us.",
    ),
    Measurement(
        name="Keyword spotter (Blouw 2019)", chip="loihi1", prices="davies2018",
        quantity="power at idle", unit="W", value=0.029,
        ours=lambda: float(rebuilt.chip("loihi1").prices["davies2018"].static_w.nominal),
        source=BLOUW, network="none", activity="none",
        assumed="idle after boot is static power",
        remark="Our static power is that of Frady et al. 2020, 3.34 W for 32 chips of another "
        "board. The two publications differ, at voltages that neither states.",
    ),
    Measurement(
        name="PilotNet, spiking", chip="loihi2", prices="loihi1_stand_in",
        quantity="time per step", unit="s", value=1 / (342.29 * 16),
        ours=lambda: rebuilt.ran_pilotnet().step_s,
        source=PILOTNET_SOURCE.format("snn") + ": 342.29 frames per second of 16 steps, one frame "
        "repeated without input from the host",
        network=PILOTNET + "; placed on 74 cores, layer by layer, as the compiler's log lists them",
        activity="rates of every layer counted in the spikes that lava-dl 0.6.0 ships as ground "
        "truth of this network (tests, gts/pilotnet_lif): input 0.887, then 0.0915, 0.1003, "
        "0.1201, 0.1078, 0.1102, 0.0942, 0.0408, 0.0333, 0",
        assumed="weights are random, so that spikes fall on cores more evenly or less; the "
        "recorded image is like the benchmark's",
        remark="Loihi 1's latencies stand in for Loihi 2's, which were never published. Intel says "
        "that Loihi 2 is up to ten times as fast.",
    ),
    Measurement(
        name="PilotNet, spiking", chip="loihi2", prices="loihi1_stand_in",
        quantity="cores", unit="cores", value=74,
        ours=lambda: float(rebuilt.cores_of(rebuilt.pilotnet().network()[0],
                                            rebuilt.chip("loihi2"))),
        source=PILOTNET_SOURCE.format("snn") + ": log of Intel's compiler",
        network=PILOTNET, activity="none is needed", assumed="nothing",
        remark="Our limit of neurons per core is Loihi 2's upper one. Intel's compiler puts 2,048 "
        "to 3,168 neurons of a convolution on a core, and 8 of the layer of 100 neurons: its "
        "limits on neuron state, axons and synaptic memory (12,000 of an unnamed unit) are not "
        "public.",
    ),
    Measurement(
        name="PilotNet, sigma-delta", chip="loihi2", prices="loihi1_stand_in",
        quantity="cores", unit="cores", value=61,
        ours=lambda: float(rebuilt.cores_of(rebuilt.pilotnet(on_chip=False).network()[0],
                                            rebuilt.chip("loihi2"))),
        source=PILOTNET_SOURCE.format("sdnn") + ": log of Intel's compiler",
        network=PILOTNET + "; without the input layer, which the host computes",
        activity="none is needed", assumed="a sigma-delta neuron takes the room of a spiking one",
        remark="As above.",
    ),
    *_mlperf("resnet8", "MLPerf Tiny image classification",
             "ResNet-8, 32 x 32 x 3, three stacks of 16, 32, 64 channels, 8 bits",
             {"stm32l4r5": (3.956, 12298.289e-6), "stm32h7a3": (14.212, 11200.203e-6)},
             "compared"),
    *_mlperf("ds_cnn", "MLPerf Tiny keyword spotting",
             "DS-CNN, 49 x 10, one 10 x 4 convolution and four depthwise separable blocks of 64 "
             "channels, 8 bits",
             {"stm32l4r5": (10.241, 4635.681e-6), "stm32h7a3": (44.863, 3713.191e-6)},
             "compared"),
    *_dvs_gesture("davies2018"),
    *_dvs_gesture("sanafe"),
    Measurement(
        name="Keyword spotter (Blouw 2019), with its host", chip="loihi1", prices="davies2018",
        quantity="dynamic energy per inference", unit="J", value=0.27e-3,
        ours=lambda: kws_j() + 0.070 / 296,
        source=BLOUW, network=KWS, activity=KWS_ACTIVITY,
        assumed="70 mW of the host for the measured 3.4 ms per inference are added",
        remark="The 70 mW are of the same measurement, so this says only what is missing above.",
        use="calibrated",
    ),
    *_mlperf("autoencoder", "MLPerf Tiny anomaly detection",
             "640-128-128-128-128-8-128-128-128-128-640, fully connected, 8 bits",
             {"stm32l4r5": (103.460, 431.211e-6), "stm32h7a3": (438.349, 349.026e-6)},
             "calibrated"),
    Measurement(
        name="ODIN at its highest rate", chip="odin", prices="incremental",
        quantity="energy per synaptic operation", unit="J", value=12.7e-12, ours=_odin_j,
        source="Frenkel et al., IEEE TBioCAS 2019, arXiv 1804.07858, abstract; looked up again",
        network="256 x 256 crossbar", activity="every input spikes in every step",
        assumed="nothing: the static power is what the paper's two figures leave",
        remark="8.43 pJ and 12.7 pJ are of the same paper.",
        use="calibrated",
    ),
)  # fmt: skip

NOT_REBUILT: tuple[Left, ...] = (
    Left(
        name="Davies 2018, energies and times per operation (Loihi)",
        published="23.6 pJ and 3.5 ns per synaptic operation, and the rest of its Table 2",
        reason="they are the table davies2018 itself; pre-silicon simulation, not a measurement",
    ),
    Left(
        name="Blouw 2019, networks of up to ten branches of ten layers (Loihi)",
        published="energy and speed against size, and the raw logs",
        reason="random weights whose firing rates are not published; energy would be a fit of them",
    ),
    Left(
        name="Massa 2020, DVS gestures (Loihi)",
        published="37 cores, 89.64 %",
        reason="its layers were not found in public text. If they are those of SANA-FE's DVS "
        "example, our mapper asks for 284 cores and refuses Loihi 1's 128: it spends one axon per "
        "source neuron and core where the chip's population axons serve a pixel's channels at once",
    ),
    Left(
        name="NxTF 2021, MobileNet (Loihi)",
        published="28 layers, 4 million parameters on 16 chips at 80 % utilisation",
        reason="networks are placed on one chip here",
    ),
    Left(
        name="Frady 2020, nearest neighbours on Pohoiki Springs (Loihi)",
        published="5.8 to 13 us per step, barrier of 14.3 to 16.2 us over 256 to 768 chips, reset "
        "5.94 uJ, 104 mW static",
        reason="many chips; reset and static power are prices of ours already",
    ),
    Left(
        name="Ceolini 2020, EMG and DVS gestures (Loihi, ODIN with MorphIC)",
        published="1.10 mJ and 7.75 ms; 37 uJ and 19.5 ms; quoted from memory, not looked up",
        reason="no spike counts in text; on ODIN the authors' own energy is operations times a "
        "price, and MorphIC has none here",
    ),
    Left(
        name="Yan 2021, keyword spotting and control (Loihi, SpiNNaker 2 prototype)",
        published="power and time of both tasks on both chips",
        reason="its tables were not within reach; the prototype runs the first task on multiply "
        "arrays, whose price per operation is not public",
    ),
    Left(
        name="PilotNet, energy (Loihi 2)",
        published="measured by the tutorial, plotted",
        reason="no prices of Loihi 2 are public, so an agreement would be chance",
    ),
    Left(
        name="Bos 2024, keyword spotting (Xylo Audio 2)",
        published="291 uW dynamic, 6.6 uJ per inference; looked up again in the abstract",
        reason="no price per event is public, and the network's rates are not in it",
    ),
    Left(
        name="NeuroBench 2025, acoustic scenes (Xylo Audio 2, Arduino Nano 33 BLE)",
        published="0.028 mJ and 0.934 mJ dynamic per inference, as quoted by others",
        reason="as above; the Arduino's network is not described where it was found",
    ),
    Left(
        name="Yao 2024, vision tasks (Speck)",
        published="0.42 mW at rest, 0.70 mW in the leanest task, 3.36 us per event in 9 layers",
        reason="no price per event is public, and rates are not in it",
    ),
    Left(
        name="DVS gestures through NIR (SpiNNaker 2)",
        published="94.13 %, 0.459 J per gesture, arXiv 2504.06748; not looked up again",
        reason="a board's energy over a recording; no power of the board at rest is given with it",
    ),
    Left(
        name="Frenkel 2019, digits (ODIN)",
        published="15 nJ per inference, 84.5 %; looked up again in the abstract",
        reason="rank-order coding stops at the first output spike, and how many inputs came before "
        "it is not published; 54 pJ at biological time needs a clock that follows the rate",
    ),
)
