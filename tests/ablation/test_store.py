"""The store: whole records or none, and a clear error for whatever else lies there."""

import errno
import fcntl
import json
import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from ablation.conftest import ROOT, measured

from snndeploy.ablation import job as job_module
from snndeploy.ablation.job import prepare
from snndeploy.ablation.space import points_of
from snndeploy.ablation.store import dump_record
from snndeploy.ablation.study_folder import open_store
from snndeploy.energy import PriceTable
from snndeploy.errors import ModelError, UsageError
from snndeploy.registry import find_target

IDENTITY = {"name": "a", "tool": "snndeploy 1", "space": {"bits": [8]}}
RECORD = {"status": "done", "value": 1.5}
KEY = "0" * 32


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "study", IDENTITY, resume=False)


def test_a_record_comes_back_as_it_was(store):
    assert store.trial(KEY) is None
    store.put_trial(KEY, RECORD)
    assert store.trial(KEY) == RECORD
    assert store.finished() == (KEY,)


def test_the_first_record_of_a_key_stays(store):
    store.put_trial(KEY, RECORD)
    store.put_trial(KEY, {"status": "done", "value": 2.0})
    assert store.trial(KEY) == RECORD


def test_a_full_disk_is_one_line_and_leaves_nothing(store, monkeypatch):
    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match=r"E5103\] .*trials: cannot be written: No space left"):
        store.put_trial(KEY, RECORD)
    assert not list((store.folder / "trials").iterdir())


def test_failures_are_appended_and_the_newest_counts(store):
    for reason in ("one", "two"):
        store.put_failure(KEY, {"reason": reason})
    assert store.failure(KEY) == {"reason": "two"}
    assert len(list((store.folder / "failures").iterdir())) == 2


WRITER = """
import sys
from pathlib import Path
from snndeploy.ablation.store import Store

store, start = Store(folder=Path(sys.argv[1])), int(sys.argv[2])
for number in range(100):
    store.put_trial(f"{(start + number) % 100:032d}", {"number": (start + number) % 100})
"""


def test_two_processes_write_the_same_keys(store, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    command = [sys.executable, "-c", WRITER, str(store.folder)]
    writers = [subprocess.Popen([*command, start]) for start in ("0", "50")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert len(store.finished()) == 100
    assert all(store.trial(f"{n:032d}") == {"number": n} for n in range(100))
    left = [p.name for p in store.folder.rglob("*") if p.name.startswith(".new-")]
    assert not left


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda data: data[: len(data) // 2], "damaged: JSONDecodeError"),
        (lambda data: b"", "damaged: JSONDecodeError"),  # noqa: ARG005
        (
            lambda data: data.replace(b"1.5", b"9.5"),
            "damaged: its content does not have the digest",
        ),
        (lambda data: b"\xff\xfe" + data, "damaged: UnicodeDecodeError"),
        (lambda data: b"[1]", "damaged: TypeError"),  # noqa: ARG005
        (lambda data: b"[" * 100_000, "damaged: RecursionError"),  # noqa: ARG005
        (lambda data: data.replace(b'"format": 1', b'"format": 0'), "damaged: its content"),
    ],
)
def test_a_damaged_record_is_named_and_never_used(store, damage, what):
    store.put_trial(KEY, RECORD)
    path = store.folder / "trials" / f"{KEY}.json"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelError, match=what) as caught:
        open_store(store.folder, IDENTITY, resume=True)
    assert caught.value.code == "E1310"
    assert caught.value.where == str(path)
    path.unlink()
    assert open_store(store.folder, IDENTITY, resume=True).finished() == ()


@pytest.mark.parametrize("name", ["study.json", f"trials/{KEY}.json"])
def test_a_newer_version_is_refused(store, name):
    store.put_trial(KEY, RECORD)
    path = store.folder / name
    path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(
        ModelError, match="written in format 2, this release reads up to 1"
    ) as caught:
        open_store(store.folder, IDENTITY, resume=True)
    assert caught.value.code == "E1311"


def test_another_space_under_the_same_name_is_refused(store):
    other = {**IDENTITY, "space": {"bits": [4], "seeds": [0]}}
    message = r"space.bits is \[8\] there, \[4\] here, space.seeds is null there, \[0\] here"
    with pytest.raises(ModelError, match=message) as caught:
        open_store(store.folder, other, resume=True)
    assert caught.value.code == "E1312"


def test_another_version_of_the_tool_is_refused(store):
    with pytest.raises(ModelError, match="made with snndeploy 1, this is snndeploy 2") as caught:
        open_store(store.folder, {**IDENTITY, "tool": "snndeploy 2"}, resume=True)
    assert caught.value.code == "E1313"


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"x")
    for resume in (False, True):
        with pytest.raises(UsageError) as caught:
            open_store(tmp_path, IDENTITY, resume=resume)
        assert caught.value.code == ("E5102" if resume else "E5103")
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]
    with pytest.raises(UsageError) as caught:
        open_store(tmp_path / "photo.jpg", IDENTITY, resume=False)
    assert caught.value.code == "E5103"
    with pytest.raises(UsageError, match="cannot be written") as caught:
        open_store(tmp_path / "photo.jpg" / "study", IDENTITY, resume=False)


def test_a_shelved_file_must_have_the_bytes_that_its_name_says(store):
    store.put_shelved("k", b"weights", ".pt")
    path = store.shelved("k")
    assert path.read_bytes() == b"weights"
    path.write_bytes(b"wEights")
    with pytest.raises(ModelError, match="its bytes are not those that its name says") as caught:
        store.shelved("k")
    assert caught.value.code == "E1310"


def test_what_a_killed_writer_left_is_no_record_and_is_swept(study, run, folder):
    run(study(), engine="serial")
    left = folder / "out/trials/.new-abc"
    left.write_bytes(dump_record(RECORD)[:40])
    again = run(study(), engine="serial", resume=True)
    assert again.count("done") == 9
    assert not left.exists()
    assert len((folder / "tried.txt").read_text().split()) == 9


def test_a_study_that_is_at_work_is_locked(study, run, folder):
    run(study(), engine="serial")
    with (folder / "out/lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ModelError, match="another run is at work on this study") as caught:
            run(study(), engine="serial", resume=True)
    assert caught.value.code == "E1315"
    assert run(study(), engine="serial", resume=True).is_complete


def test_a_finished_study_is_not_run_twice_unless_told(study, run):
    run(study(), engine="serial")
    with pytest.raises(UsageError, match="holds trials of this study") as caught:
        run(study(), engine="serial")
    assert caught.value.code == "E5100"


def test_a_changed_space_under_the_same_name_is_refused(study, run):
    run(study(), engine="serial")
    wider = study(('bits = ["fp32", 4, 2]', 'bits = ["fp32", 4, 3]'))
    message = r'study \'numbers\' is another one there: space.bits is \["fp32", 4, 2\] there'
    with pytest.raises(ModelError, match=message) as caught:
        run(wider, engine="serial", resume=True)
    assert caught.value.code == "E1312"


def test_a_study_made_by_another_release_is_refused(study, run, monkeypatch):
    run(study(), engine="serial")
    monkeypatch.setattr(job_module, "_version", lambda package: "99.0")  # noqa: ARG005
    with pytest.raises(ModelError, match=r"this is snndeploy 99\.0") as caught:
        run(study(), engine="serial", resume=True)
    assert caught.value.code == "E1313"


def test_the_same_study_twice_gives_the_same_numbers(study, run, folder):
    first, second = (run(study(), engine="serial", name=name) for name in ("one", "two"))
    assert measured(first) == measured(second)

    def content(name):
        records = {}
        for path in (folder / name / "trials").iterdir():
            records[path.name] = json.loads(path.read_text())["content"]
            records[path.name].pop("seconds")
        return records

    assert content("one") == content("two")


def test_a_key_follows_everything_a_result_depends_on(study, folder, monkeypatch):
    base = prepare(study(), folder / "out")
    keys = {base.trial(_first(base), 0).key}

    def add(job):
        key = job.trial(_first(job), 0).key
        assert key not in keys
        keys.add(key)

    add(prepare(study(("seconds = 30", "seconds = 30\nthreads = 2")), folder / "out"))
    for change in ("order = 'quantize-prune-finetune'", "epochs = 7", "batch = 7"):
        add(prepare(study(("[limits]", f"[training]\n{change}\n[limits]")), folder / "out"))
    add(prepare(study(("[limits]", "[measure]\ntiming = 'queue'\n[limits]")), folder / "out"))
    add(prepare(study(quick=True), folder / "out"))
    np.savez_compressed(folder / "train.npz", x=np.arange(5))
    add(prepare(study(), folder / "out"))
    (folder / "model.pt").write_bytes(b"another model")
    add(prepare(study(), folder / "out"))
    monkeypatch.setattr(job_module, "_version", lambda package: "99.0")  # noqa: ARG005
    add(prepare(study(), folder / "out"))


def test_limits_of_a_trial_and_the_place_of_files_change_no_key(study, folder):
    first = prepare(study(), folder / "out")
    again = prepare(study(("seconds = 30", "seconds = 5"), ("retries = 1", "retries = 0")), folder)
    assert first.trial(_first(first), 0).key == again.trial(_first(again), 0).key
    assert first.identity == again.identity


def _first(job):
    return points_of(job.study.space)[0]


def test_a_chip_without_prices_is_refused(study, folder, monkeypatch):
    target = find_target("loihi2")
    free = PriceTable(name="none", prices={}, static_w=None)
    chip = replace(target.chip, prices={"none": free}, default_prices="none")
    monkeypatch.setattr(job_module, "find_target", lambda _: SimpleNamespace(chip=chip))
    with pytest.raises(UsageError, match=r"E5106\] \[space\] target: no price of an event of"):
        prepare(study(), folder / "out")
