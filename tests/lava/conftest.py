"""Lava's environment for the suites that run it, and one worker call for all their jobs."""

import os

import pytest

from hwtargets.loihi.lava_env import make_environment
from snndeploy.errors import TargetError


@pytest.fixture(scope="session")
def lava_python():
    """Return an interpreter that has Lava; without one fail in CI, else skip."""
    try:
        return make_environment(os.environ)
    except TargetError as error:
        if os.environ.get("CI"):
            pytest.fail(error.line())
        pytest.skip(error.line())
