"""The Lava environment, shared with the suite of its adapter."""

from tests.lava.conftest import lava_python as lava_python  # a fixture, found by its name
