"""Reading a study from TOML: every key is known, every value in range, every path found.

What goes in: a file. What comes out: a `Study` whose paths are absolute. Everything that is not
exactly as it should be is an error that names file, key and remedy.
"""

import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from snndeploy.ablation.levels import CRITERIA, GAMMAS, GRIDS, MAX_BITS, MIN_BITS
from snndeploy.ablation.study import (
    FLOAT,
    OBJECTIVES,
    ORDERS,
    SAMPLERS,
    STAGES,
    TIMINGS,
    UNPRUNED,
    Bits,
    DataFiles,
    Limits,
    Search,
    Space,
    Stage,
    Study,
    Training,
)
from snndeploy.ablation.study_table import Table, is_number, is_whole
from snndeploy.errors import ModelError
from snndeploy.npz import read_bytes

MAX_FILE = 1 << 20
MAX_POINTS = 100_000
TOP = ("name", "model", "data", "space")
OPTIONAL = ("training", "measure", "limits", "search", "quick")
FACTOR_KEYS = ("bits", "gamma", "grid", "criterion", "ratio", "target", "seeds")
QUICK_SAMPLES, QUICK_SEEDS, QUICK_EPOCHS, QUICK_POINTS = 128, 2, 1, 4
"""What `--quick` leaves where the file's own table [quick] does not say."""


def read_study(path: Path, *, quick: bool = False) -> Study:
    """Read a study.

    Args:
        path: the TOML file; paths in it are relative to its folder.
        quick: cut the study down by its table [quick], to see whether it runs.

    Raises:
        ModelError: E1300 unreadable or not TOML, E1301 unknown key, E1302 missing key, E1303 bad
            value, E1304 factors that do not go together, E1305 too many of them; E1212, the file
            is missing.
    """
    try:
        values = tomllib.loads(read_bytes(path, limit=MAX_FILE).decode())
    except (UnicodeDecodeError, RecursionError, tomllib.TOMLDecodeError) as error:
        raise ModelError(
            "E1300", str(error), where=str(path), remedy="write it as TOML 1.0"
        ) from None
    top = Table(file=path.name, key="", values=values)
    top.check_keys(TOP, OPTIONAL)
    study = _study(top, path.absolute().parent)
    return _cut_down(study, top.table("quick")) if quick else _checked(study, top)


def _study(top: Table, folder: Path) -> Study:
    data, training = top.table("data"), top.table("training")
    data.check_keys(("train", "test"), ("validation",))
    training.check_keys((), ("order", "epochs", "learning_rate", "batch"))
    measure = top.table("measure")
    measure.check_keys((), ("timing", "objectives"))
    objectives = measure.levels(
        "objectives", ["accuracy", "energy", "cores"], OBJECTIVES.__contains__,
        f"objectives, out of {', '.join(OBJECTIVES)}",
    )  # fmt: skip
    name = top.text("name")
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
        raise top.bad("name", name, "letters, digits, - and _: it names the results' folder")
    top.table("quick").check_keys((), (*FACTOR_KEYS, "samples", "epochs", "points"))
    return Study(
        name=name,
        model=str(folder / top.text("model")),
        data=DataFiles(
            train=str(folder / data.text("train")),
            test=str(folder / data.text("test")),
            validation=str(folder / data.text("validation"))
            if "validation" in data.values
            else None,
        ),
        samples=None,
        space=_space(top.table("space")),
        training=Training(
            order=cast("Any", training.word("order", ORDERS, ORDERS[0])),
            epochs=_epochs(training),
            learning_rate=_learning_rate(training),
            batch=training.whole("batch", 64, least=1),
        ),
        timing=cast("Any", measure.word("timing", TIMINGS, "bound")),
        objectives=objectives,
        limits=_limits(top.table("limits")),
        search=_search(top.table("search")) if "search" in top.values else None,
    )


def _space(table: Table, base: Space | None = None) -> Space:
    """Return the levels of every factor; those of `base` where the table does not say."""
    if base is None:
        table.check_keys((), FACTOR_KEYS)

    def levels(key: str, default: list[Any], check: Callable[[Any], bool], allowed: str) -> Any:
        start = default if base is None else list(getattr(base, key))
        return table.levels(key, start, check, allowed)

    def texts(key: str, default: str, words: tuple[str, ...]) -> Any:
        return levels(key, [default], words.__contains__, f"words out of {', '.join(words)}")

    _check_pruning(table, base)
    bits = levels("bits", [8], _is_bits, f"'{FLOAT}' or bits from {MIN_BITS} to {MAX_BITS}")
    return Space(
        bits=cast("tuple[Bits, ...]", bits),
        gamma=texts("gamma", GAMMAS[0], GAMMAS),
        grid=texts("grid", GRIDS[0], GRIDS),
        criterion=texts("criterion", UNPRUNED, (UNPRUNED, *CRITERIA)),
        ratio=tuple(map(float, levels("ratio", [0.5], _is_ratio, "shares above 0 and below 1"))),
        target=levels("target", ["loihi2"], _is_text, "names of targets"),
        seeds=levels("seeds", [0], _is_seed, "whole numbers, 0 or more"),
    )


def _check_pruning(table: Table, base: Space | None) -> None:
    """Raise E1304 for a criterion without ratios, or ratios without a criterion."""
    criteria = table.values.get("criterion", [UNPRUNED] if base is None else base.criterion)
    prunes = isinstance(criteria, list | tuple) and any(c != UNPRUNED for c in criteria)
    if prunes and base is None and "ratio" not in table.values:
        raise table.error(
            "E1304", "criterion", "channels are ranked, but how many go is not said",
            "add ratio = [0.5]",
        )  # fmt: skip
    if "ratio" in table.values and not prunes:
        raise table.error(
            "E1304", "ratio", "a ratio, but nothing ranks the channels", "add criterion = ['svs']"
        )


def _is_bits(value: Any) -> bool:
    return value == FLOAT or (is_whole(value) and MIN_BITS <= value <= MAX_BITS)


def _is_ratio(value: Any) -> bool:
    return is_number(value) and 0 < value < 1


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_seed(value: Any) -> bool:
    return is_whole(value) and value >= 0


def _epochs(training: Table) -> dict[Stage, int]:
    """Return the epochs after every stage: a number is that of the last one."""
    if is_whole(training.values.get("epochs", 2)):
        last = training.whole("epochs", 2, least=0)
        return {"prune": 0, "quantize": 0, "finetune": last}
    table = training.table("epochs")
    table.check_keys((), STAGES)
    return {stage: table.whole(stage, 0, least=0) for stage in STAGES}


def _learning_rate(training: Table) -> float:
    rate = training.positive("learning_rate", 0.01)
    if rate > 1:
        raise training.bad("learning_rate", rate, "more than 0, at most 1")
    return rate


def _limits(table: Table) -> Limits:
    table.check_keys((), ("seconds", "memory_gb", "retries", "threads"))
    return Limits(
        seconds=table.positive("seconds", 3600.0),
        memory_gb=table.positive("memory_gb", 8.0),
        retries=table.whole("retries", 2, least=0, most=100),
        threads=table.whole("threads", 1, least=1, most=1024),
    )


def _search(table: Table) -> Search:
    table.check_keys(("points",), ("sampler", "batch", "seed"))
    return Search(
        sampler=cast("Any", table.word("sampler", SAMPLERS, SAMPLERS[0])),
        points=table.whole("points", 0, least=1, most=MAX_POINTS),
        batch=table.whole("batch", 4, least=1, most=1000),
        seed=table.whole("seed", 0, least=0),
    )


def _cut_down(study: Study, quick: Table) -> Study:
    """Return a study of few samples, seeds and epochs, as [quick] says."""
    seeds = study.space.seeds[:QUICK_SEEDS]
    space = _space(quick, replace(study.space, seeds=seeds))
    epochs = quick.whole("epochs", QUICK_EPOCHS, least=0)
    points = quick.whole("points", QUICK_POINTS, least=1)
    search = study.search
    return _checked(
        replace(
            study,
            samples=quick.whole("samples", QUICK_SAMPLES, least=2),
            space=space,
            training=replace(
                study.training,
                epochs={stage: min(n, epochs) for stage, n in study.training.epochs.items()},
            ),
            search=search and replace(search, points=min(search.points, points)),
        ),
        quick,
    )


def _checked(study: Study, table: Table) -> Study:
    """Raise E1305 if the space is too large to be meant."""
    space, n = study.space, 1
    for key in FACTOR_KEYS:
        n *= len(getattr(space, key))
    if n > MAX_POINTS:
        raise table.error(
            "E1305", "space", f"{n:,} combinations, at most {MAX_POINTS:,}", "name fewer levels"
        )
    return study
