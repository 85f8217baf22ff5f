"""Finding targets and executors: entry points of installed packages, loaded when they are named.

Ours come through the same door as everybody's. Nothing is imported until its name is asked for;
two packages that claim one name are an error that names both.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Literal, cast

from snndeploy.errors import TargetError, UnsupportedError, UsageError
from snndeploy.reference import REFERENCE
from snndeploy.target import Executor, PricedTarget, Simulator, Target

Group = Literal["snndeploy.targets", "snndeploy.executors"]
TARGETS: Group = "snndeploy.targets"
EXECUTORS: Group = "snndeploy.executors"
ALIASES = {"loihi": "loihi2"}
"""What people type -> the chip that is meant: the one Lava models and Intel still hands out."""


def target_names() -> tuple[str, ...]:
    """Return the names of all installed targets, sorted."""
    return tuple(sorted(_found(TARGETS)))


def executor_names() -> tuple[str, ...]:
    """Return the names of all executors, the reference first."""
    return (REFERENCE.name, *sorted(_found(EXECUTORS)))


def find_target(name: str) -> Target:
    """Return a target to compile for, by name or alias.

    Raises:
        UsageError: E5001, no installed package offers it.
        UnsupportedError: E3040, its chip is priced only.
        TargetError: E4020, two packages claim the name; E4021, its package cannot be imported.
    """
    target = find_any_target(name)
    if isinstance(target, PricedTarget):
        raise UnsupportedError(
            "E3040",
            f"nothing is compiled for a chip that is priced only: {target.chip.because}",
            where=target.name,
            remedy=f"price a run on it: snndeploy estimate MODEL --target loihi2,{target.name} "
            "--data X.npz",
        )
    return target


def find_any_target(name: str) -> Target | PricedTarget:
    """Return a target by name or alias, be its chip modelled or priced only.

    Raises:
        UsageError: E5001, no installed package offers it.
        TargetError: E4020, two packages claim the name; E4021, its package cannot be imported.
    """
    found = _load(TARGETS, ALIASES.get(name, name), target_names())
    return cast("Target | PricedTarget", found)


def find_executor(name: str) -> Executor:
    """Return an executor by name.

    Raises:
        UsageError: E5001, no installed package offers it.
        TargetError: E4020, two packages claim the name; E4021, its package cannot be imported.
    """
    if name == REFERENCE.name:
        return REFERENCE
    return cast("Executor", _load(EXECUTORS, name, executor_names()))


def usable_executor(name: str) -> Executor:
    """Return an executor that can run here.

    Raises:
        UsageError: E5001, no installed package offers it.
        TargetError: E4022, a tool it needs is missing.
    """
    executor = find_executor(name)
    reason = executor.missing()
    if reason:
        raise TargetError("E4022", f"backend cannot run here: {reason}", where=name)
    return executor


def simulator(
    name: str, *, threads: int = 1, trace: Mapping[str, tuple[int, ...]] | None = None
) -> Executor:
    """Return an executor with options of the simulator; any executor if none is used.

    Raises:
        UsageError: E5060, it is not a simulator; and those of `find_executor`.
    """
    executor = find_executor(name)
    if threads == 1 and trace is None:
        return executor
    if not isinstance(executor, Simulator):
        raise UsageError(
            "E5060",
            f"{name} runs as it does: no threads to choose, no trace",
            where="--trace" if trace is not None else "--threads",
            remedy="use --backend sim, or drop the option",
        )
    return executor.with_options(threads=threads, trace=trace)


def unknown_name(what: str, name: str, allowed: tuple[str, ...]) -> UsageError:
    """Return E5001 with the nearest allowed name, or all of them."""
    near = get_close_matches(name, allowed, n=1)
    remedy = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(allowed)}"
    return UsageError("E5001", f"unknown {what} {name!r}", remedy=remedy)


@cache
def _found(group: Group) -> dict[str, tuple[EntryPoint, ...]]:
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for entry in entry_points(group=group):
        others = found.get(entry.name, ())
        if entry.value not in {other.value for other in others}:
            found[entry.name] = (*others, entry)
    return found


def _load(group: Group, name: str, allowed: tuple[str, ...]) -> object:
    kind = "target" if group == TARGETS else "backend"
    entries = _found(group).get(name, ())
    if not entries:
        raise unknown_name(kind, name, (*allowed, *(ALIASES if group == TARGETS else ())))
    if len(entries) > 1:
        packages = " and ".join(sorted(e.dist.name if e.dist else e.value for e in entries))
        raise TargetError(
            "E4020",
            f"{kind} {name!r} is offered by {packages}",
            where=name,
            remedy="uninstall one of them",
        )
    try:
        return entries[0].load()
    except (ImportError, AttributeError) as error:
        package = entries[0].dist.name if entries[0].dist else entries[0].value
        raise TargetError(
            "E4021",
            f"{kind} {name!r} of package {package} cannot be loaded: {error}",
            where=name,
            remedy="reinstall that package",
        ) from error
