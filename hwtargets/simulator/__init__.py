"""The simulator: exact spikes, exact event counts and a model of time, for networks of `lif`."""

from hwtargets.simulator.executor import SimulatorExecutor

SIMULATOR = SimulatorExecutor()

__all__ = ["SIMULATOR", "SimulatorExecutor"]
