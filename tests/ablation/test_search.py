"""Search: Optuna proposes, the same store answers; what a killed run left running is taken up."""

import optuna
import pytest
from ablation.conftest import measured

from snndeploy.ablation import search as search_module
from snndeploy.ablation.search import masked
from snndeploy.ablation.words import verdict_words
from snndeploy.errors import TargetError

SPACE = """
bits = ['fp32', 8, 6, 5, 4, 3, 2]
criterion = ['none', 'l1', 'random']
ratio = [0.25, 0.5]
"""
SEARCH = "[search]\npoints = 14\nbatch = 4\nsampler = '{}'\nseed = 3\n[limits]"


@pytest.fixture
def searched(study):
    """Read a study that is searched."""

    def make(sampler="nsga2", points=14):
        return study(
            ('bits = ["fp32", 4, 2]', SPACE),
            ("seeds = [0, 1, 2]", "seeds = [0, 1]"),
            ("[limits]", SEARCH.format(sampler).replace("14", str(points))),
        )

    return make


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_a_search_tries_its_points_and_finds_a_front(searched, run, sampler):
    results = run(searched(sampler), engine="serial")
    assert results.is_complete
    assert 1 < len(results.summaries) <= 14
    assert results.front
    again = run(searched(sampler), engine="serial", name="again")
    assert measured(again) == measured(results)


def test_a_search_that_was_killed_proposes_what_an_undisturbed_one_does(
    searched, run, folder, monkeypatch
):
    undisturbed = run(searched(), engine="serial", name="undisturbed")

    class Killed(BaseException):
        """As SIGKILL: nothing is told, nothing is cleaned up."""

    tell, told = search_module._tell, []

    def die(*args):
        told.append(args)
        if len(told) == 7:  # in the second batch, one of four told
            raise Killed
        return tell(*args)

    monkeypatch.setattr(search_module, "_tell", die)
    with pytest.raises(Killed):
        run(searched(), engine="serial")
    held = _opened(folder / "out")
    assert [t.state.name for t in held].count("RUNNING") == 2
    monkeypatch.setattr(search_module, "_tell", tell)
    resumed = run(searched(), engine="serial", resume=True)
    assert measured(resumed) == measured(undisturbed)
    states = [t.state.name for t in _opened(folder / "out")]
    assert states.count("RUNNING") == 0
    assert states.count("COMPLETE") == 14
    assert len(states) == 14


def test_a_budget_leaves_a_search_to_be_resumed(searched, run):
    undisturbed = run(searched(), engine="serial", name="undisturbed")
    stopped = run(searched(), engine="serial", bench="steady", budget_s=0.0)
    assert not stopped.is_complete
    assert stopped.unproposed == 14
    assert "14 points not yet proposed" in verdict_words(stopped)
    assert undisturbed.is_complete
    assert measured(run(searched(), engine="serial", resume=True)) == measured(undisturbed)


def test_points_that_fail_are_no_part_of_the_front(study, run):
    bad = study(
        ('bits = ["fp32", 4, 2]', SPACE), ("seeds = [0, 1, 2]", "seeds = [0, 6]"),
        ("[limits]", SEARCH.format("nsga2").replace("14", "4")),
    )  # fmt: skip
    results = run(bad, bench="troubled", engine="serial")
    assert results.front == ()
    assert results.count("refused") == results.count("done") == len(results.rows) // 2


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:s3cret@nowhere.invalid/db?password=s3cret",
        "nonsense+driver://ann:s3cret@host/db",
        "sqlite:////no/such/folder/x.db?s3cret",
    ],
)
def test_the_address_of_a_storage_is_told_without_its_secrets(searched, run, url, capfd, folder):
    with pytest.raises(TargetError) as caught:
        run(searched(), engine="serial", storage=url)
    assert caught.value.code == "E4034"
    out, err = capfd.readouterr()
    chain = (caught.value.line(), repr(caught.value.__cause__), out, err)
    assert not any("s3cret" in text for text in chain)
    written = [path.read_bytes() for path in (folder / "out").rglob("*") if path.is_file()]
    assert not any(b"s3cret" in data for data in written)


def test_a_masked_address_keeps_the_place():
    assert masked("mysql+pymysql://u:p@h:3306/db?ssl=x") == "mysql+pymysql://h:3306/db"
    assert masked("sqlite:///x.db") == "sqlite:///x.db"
    assert masked("") == ""
    assert masked("postgresql://u:p/w@d@h/db") == "postgresql://h/db"


def test_a_database_may_hold_the_search(searched, run, folder):
    url = f"sqlite:///{folder}/search.db"
    results = run(searched(points=4), engine="serial", storage=url)
    assert results.is_complete
    assert not (folder / "out/search.log").exists()
    assert measured(run(searched(points=4), engine="serial", name="again")) == measured(results)


def _opened(folder):
    from optuna.storages.journal import JournalFileBackend

    storage = optuna.storages.JournalStorage(JournalFileBackend(str(folder / "search.log")))
    (name,) = [one.study_name for one in storage.get_all_studies()]
    return optuna.load_study(study_name=name, storage=storage).get_trials()
