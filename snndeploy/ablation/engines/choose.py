"""Engines by name; what an engine needs is imported when it is chosen."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from snndeploy.ablation.engines.engine import Engine, Work


def _serial(work: Work, address: str) -> Engine:  # noqa: ARG001 - the table's signature
    from snndeploy.ablation.engines.serial import SerialEngine

    return SerialEngine(work)


def _process(work: Work, address: str) -> Engine:  # noqa: ARG001 - the table's signature
    from snndeploy.ablation.engines.process import ProcessEngine

    return ProcessEngine(work)


def _ray(work: Work, address: str) -> Engine:
    from snndeploy.ablation.engines.on_ray import RayEngine

    return RayEngine(work, address)


ENGINES: Mapping[str, Callable[[Work, str], Engine]] = {
    "serial": _serial,
    "process": _process,
    "ray": _ray,
}


@contextmanager
def open_engine(name: str, work: Work, *, address: str = "") -> Iterator[Engine]:
    """Yield an engine; nothing of it runs on when the block is left.

    Args:
        name: a key of `ENGINES`.
        work: what it works on.
        address: of a Ray cluster; empty starts one here, on loopback.

    Raises:
        TargetError: E4033, Ray does not start.
    """
    engine = ENGINES[name](work, address)
    try:
        yield engine
    finally:
        engine.close()
