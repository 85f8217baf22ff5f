"""The simulator: exact spikes, exact event counts and a model of time."""

from hwtargets.simulator.executor import SimulatorExecutor

SIMULATOR = SimulatorExecutor()

__all__ = ["SIMULATOR", "SimulatorExecutor"]
