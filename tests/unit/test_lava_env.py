"""Finding and making Lava's interpreter, with small scripts in the place of Pythons."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hwtargets.loihi import lava_env
from hwtargets.loihi.interpreters import candidates, clean_environment, find_python, probe
from hwtargets.loihi.program import LAVA_VERSION
from snndeploy.errors import TargetError

ROOT = Path(__file__).parents[2]


def script(path, body):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def python(path, *, version=(3, 10), implementation="CPython", lava=""):
    """Write a script that answers the probe like a Python of that kind."""
    answer = json.dumps([implementation, *version, lava])
    return script(path, f"echo '{answer}'")


def maker(path, *, then=":"):
    """Write a 3.10 whose `-m venv FOLDER` makes a Python that claims to have Lava."""
    answer = json.dumps(["CPython", 3, 10, ""])
    python(path.with_suffix(".made"), lava=LAVA_VERSION)
    return script(
        path,
        f"""case "$*" in
*"-m venv"*)
  {then}
  for folder; do :; done
  echo made >> "$0.log"
  mkdir -p "$folder/bin"
  cp "$0.made" "$folder/bin/python";;
*) echo '{answer}';;
esac""",
    )


@pytest.fixture
def environ(tmp_path):
    """Return an environment in which nothing outside the test's folder can be found first."""
    return {
        "HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PATH": "/nowhere:/bin:/usr/bin",
    }


def test_probe_believes_what_a_python_says_of_itself(tmp_path, environ):
    found = probe(python(tmp_path / "p", version=(3, 9), implementation="PyPy", lava="1"), environ)
    assert (found.implementation, found.version, found.lava) == ("PyPy", (3, 9), "1")
    assert not found.is_usable
    assert probe(python(tmp_path / "q"), environ).is_usable


def test_probe_of_this_interpreter(environ):
    found = probe(Path(sys.executable), environ)
    assert found.version == sys.version_info[:2]
    assert found.lava == ""


@pytest.mark.parametrize("body", ["exit 127", "echo no json", "echo '[1, 2]'", "exit 0"])
def test_what_does_not_answer_is_no_python(body, tmp_path, environ):
    assert probe(script(tmp_path / "p", body), environ) is None
    assert probe(tmp_path / "missing", environ) is None


def test_real_installations_come_before_path_and_shims_are_left_out(tmp_path, environ):
    environ |= {"PYENV_ROOT": str(tmp_path / "pyenv"), "PATH": f"{tmp_path}/shims:{tmp_path}/bin"}
    for version in ("3.10.2", "3.10.13", "3.11.7"):
        python(tmp_path / "pyenv/versions" / version / "bin/python3.10")
    script(tmp_path / "shims/python3.10", "exit 127")
    found = list(candidates(environ))
    assert found[0] == tmp_path / "pyenv/versions/3.10.2/bin/python3.10"
    assert tmp_path / "bin/python3.10" in found
    assert not [path for path in found if "shims" in str(path) or "3.11" in str(path)]


@pytest.mark.parametrize(
    "place",
    [
        "home/.pyenv/versions/3.10.4/bin/python3.10",
        "home/.local/share/uv/python/cpython-3.10.14-linux-x86_64-gnu/bin/python3.10",
        "home/miniconda3/envs/old/bin/python3.10",
        "bin/python3.10",
    ],
)
def test_python_is_found_in_its_usual_places(place, tmp_path, environ):
    environ["PATH"] = str(tmp_path / "bin")
    expected = python(tmp_path / place)
    assert find_python(environ).path == expected


def test_a_python_that_fails_is_passed_over(tmp_path, environ):
    script(tmp_path / "home/.pyenv/versions/3.10.9/bin/python3.10", "exit 1")
    expected = python(tmp_path / "home/.pyenv/versions/3.10.1/bin/python3.10")
    assert find_python(environ).path == expected


def test_child_gets_nothing_that_steers_another_python():
    environ = {
        "PYTHONPATH": "x", "PYTHONHOME": "x", "VIRTUAL_ENV": "x", "VIRTUAL_ENV_PROMPT": "x",
        "CONDA_PREFIX": "x", "UV_PYTHON": "x", "PIP_TARGET": "x", "HOME": "h", "LANG": "C",
    }  # fmt: skip
    assert clean_environment(environ) == {"HOME": "h", "LANG": "C"}


def test_chosen_interpreter_with_lava_is_used_as_it_is(tmp_path, environ):
    chosen = python(tmp_path / "p", lava=LAVA_VERSION)
    environ["SNNDEPLOY_LAVA_PYTHON"] = str(chosen)
    assert lava_env.make_environment(environ) == chosen
    assert lava_env.missing(environ) is None
    assert not (tmp_path / "cache").exists()


def test_environment_is_made_once_from_a_chosen_plain_python(tmp_path, environ):
    base = maker(tmp_path / "base")
    environ["SNNDEPLOY_LAVA_PYTHON"] = str(base)
    assert "not made yet" in lava_env.missing(environ)
    made = lava_env.make_environment(environ)
    assert made == lava_env.environment_folder(environ) / "bin/python"
    assert lava_env.make_environment(environ) == made
    assert (tmp_path / "base.log").read_text() == "made\n"
    assert lava_env.missing(environ) is None
    assert [path.name for path in made.parents[2].glob("lava-*.*")] == [
        f"{made.parents[1].name}.lock"
    ]


def test_two_makers_at_once_make_it_once(tmp_path, environ):
    environ["SNNDEPLOY_LAVA_PYTHON"] = str(maker(tmp_path / "base", then="sleep 0.3"))
    found = []
    makers = [
        threading.Thread(target=lambda: found.append(lava_env.make_environment(environ)))
        for _ in range(3)
    ]
    for thread in makers:
        thread.start()
    for thread in makers:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1
    assert (tmp_path / "base.log").read_text() == "made\n"


def test_failed_making_leaves_nothing(tmp_path, environ):
    base = maker(tmp_path / "base", then="echo 'no room' >&2; exit 3;")
    environ["SNNDEPLOY_LAVA_PYTHON"] = str(base)
    with pytest.raises(TargetError, match=r"E4002.*could not be made: no room"):
        lava_env.make_environment(environ)
    folder = lava_env.environment_folder(environ)
    assert [path.name for path in folder.parent.iterdir()] == [f"{folder.name}.lock"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"version": (3, 11)}, r"it is CPython 3\.11"),
        ({"implementation": "PyPy"}, r"it is PyPy 3\.10"),
        ({"lava": "0.9.0"}, r"it has lava-nc 0\.9\.0, 0\.10\.0 is needed"),
    ],
)
def test_wrong_choice_is_refused_not_replaced(answer, reason, tmp_path, environ):
    chosen = str(python(tmp_path / "p", **answer))
    environ["SNNDEPLOY_LAVA_PYTHON"] = chosen
    with pytest.raises(TargetError, match=rf"E4001.*cannot run Lava: {reason}"):
        lava_env.make_environment(environ)
    assert lava_env.missing(environ).startswith("error[E4001]")


def test_choice_that_does_not_run_is_refused(tmp_path, environ):
    environ["SNNDEPLOY_LAVA_PYTHON"] = str(tmp_path / "nothing")
    with pytest.raises(TargetError, match="it does not run as a Python"):
        lava_env.ready_python(environ)


def test_without_any_310_the_error_says_what_to_do(environ, monkeypatch):
    monkeypatch.setattr(lava_env, "find_python", lambda _: None)
    with pytest.raises(TargetError, match=r"E4001.*CPython 3\.10.*SNNDEPLOY_LAVA_PYTHON") as caught:
        lava_env.make_environment(environ)
    assert caught.value.exit_code == 8
    assert "install it or set SNNDEPLOY_LAVA_PYTHON" in lava_env.missing(environ)


def test_new_pins_are_a_new_environment(tmp_path, environ, monkeypatch):
    before = lava_env.environment_folder(environ)
    changed = tmp_path / "requirements.txt"
    changed.write_text(lava_env.REQUIREMENTS.read_text() + "# more\n")
    monkeypatch.setattr(lava_env, "REQUIREMENTS", changed)
    assert lava_env.environment_folder(environ) != before


def test_every_requirement_is_pinned_and_numpy_is_old_enough():
    lines = lava_env.REQUIREMENTS.read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert pins["lava-nc"] == LAVA_VERSION
    assert int(pins["numpy"].split(".")[0]) < 2


def test_module_prints_the_error_and_its_exit_status(tmp_path, environ):
    environ["SNNDEPLOY_LAVA_PYTHON"] = str(tmp_path / "nothing")
    answer = subprocess.run(
        [sys.executable, "-m", "hwtargets.loihi.lava_env"],
        env=environ, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert answer.returncode == 8
    assert answer.stdout == ""
    assert answer.stderr.startswith("error[E4001]")
    assert answer.stderr.count("\n") == 1
