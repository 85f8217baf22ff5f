"""The study file: what is not exactly as it should be is named with file and key."""

import pytest

from snndeploy.ablation.space import Point, points_of
from snndeploy.ablation.study import study_of, study_record
from snndeploy.ablation.study_file import read_study
from snndeploy.errors import ModelError

SPACE = 'bits = ["fp32", 4, 2]'


def test_paths_are_those_beside_the_file(study, folder):
    read = study()
    assert read.model == str(folder / "model.pt")
    assert read.data.train == str(folder / "train.npz")
    assert read.data.validation is None


def test_defaults_are_stated(study):
    read = study()
    assert read.training.order == "prune-quantize-finetune"
    assert dict(read.training.epochs) == {"prune": 0, "quantize": 0, "finetune": 2}
    assert read.objectives == ("accuracy", "energy", "cores")
    assert read.timing == "bound"
    assert read.samples is None
    assert read.search is None


def test_a_study_survives_json(study):
    import json

    read = study(("[limits]", "[search]\npoints = 5\n[limits]"))
    assert study_of(json.loads(json.dumps(study_record(read)))) == read


@pytest.mark.parametrize(
    ("old", "new", "code", "where", "words"),
    [
        ("[space]", "[space", "E1300", "study.toml", r"line 9"),
        ("bits =", f"ratio = {'[' * 5000}\nbits =", "E1300", "study.toml", r"recursion"),
        ("bits =", "bit =", "E1301", "study.toml, space.bit", "did you mean 'bits'"),
        ("test =", "tests =", "E1301", "study.toml, data.tests", "did you mean 'test'"),
        ("[space]", "[spade]", "E1301", "study.toml, spade", "did you mean 'space'"),
        ('model = "model.pt"', "", "E1302", "study.toml, model", "missing key 'model'"),
        ('test = "test.npz"', "", "E1302", "study.toml, data.test", "missing key 'test'"),
        ('"fp32", 4, 2', "1", "E1303", "study.toml, space.bits", "is 1; help: use 'fp32' or bits"),
        ('"fp32", 4, 2', "4, 4", "E1303", "study.toml, space.bits", "has a level twice"),
        ('["fp32", 4, 2]', "4", "E1303", "study.toml, space.bits", "is 4; help: use a list"),
        ('"fp32", 4, 2', "true", "E1303", "study.toml, space.bits", "is True"),
        ("seeds = [0, 1, 2]", "seeds = []", "E1303", "study.toml, space.seeds", "a list of"),
        ("seeds = [0, 1, 2]", "seeds = [-1]", "E1303", "study.toml, space.seeds", "0 or more"),
        ("seeds = [0, 1, 2]", 'criterion = ["vss"]\nratio = [0.5]', "E1303",
         "study.toml, space.criterion", "vss"),
        ("seeds = [0, 1, 2]", "criterion = ['l1']", "E1304", "study.toml, space.criterion",
         "how many go is not said"),
        ("seeds = [0, 1, 2]", "ratio = [0.5]", "E1304", "study.toml, space.ratio",
         "nothing ranks the channels"),
        ("seeds = [0, 1, 2]", "criterion = ['l1']\nratio = [1]", "E1303",
         "study.toml, space.ratio", "below 1"),
        ("retries = 1", "retries = 1.5", "E1303", "study.toml, limits.retries", "whole number"),
        ("seconds = 30", "seconds = 0", "E1303", "study.toml, limits.seconds", "above 0"),
        ("seconds = 30", "seconds = nan", "E1303", "study.toml, limits.seconds", "above 0"),
        ('name = "numbers"', 'name = "../x"', "E1303", "study.toml, name", "names the results"),
        ("[limits]", "[training]\norder = 'x'\n[limits]", "E1303", "study.toml, training.order",
         "use prune-quantize-finetune"),
        ("[limits]", "[training]\nlearning_rate = 2\n[limits]", "E1303",
         "study.toml, training.learning_rate", "at most 1"),
        ("[limits]", "[training.epochs]\nfinetun = 2\n[limits]", "E1301",
         "study.toml, training.epochs.finetun", "did you mean 'finetune'"),
        ("[limits]", "[measure]\nobjectives = ['acuracy']\n[limits]", "E1303",
         "study.toml, measure.objectives", "out of accuracy"),
        ("[limits]", "[search]\nsampler = 'tpe'\n[limits]", "E1302", "study.toml, search.points",
         "add points"),
        ("[limits]", "[quick]\nsample = 2\n[limits]", "E1301", "study.toml, quick.sample",
         "did you mean 'samples'"),
        ("seeds = [0, 1, 2]", f"seeds = {list(range(40000))}", "E1305", "study.toml, space",
         "120,000 combinations"),
    ],
)  # fmt: skip
def test_mistakes_are_named(study, old, new, code, where, words):
    with pytest.raises(ModelError, match=words) as caught:
        study((old, new))
    assert caught.value.code == code
    assert caught.value.where.endswith(where)


def test_a_missing_file_is_an_error(folder):
    with pytest.raises(ModelError, match="No such file"):
        read_study(folder / "absent.toml")


def test_what_is_the_same_network_is_one_point(study):
    grid = "gamma = ['max', 'mean']"
    points = points_of(study((SPACE, f"{SPACE}\n{grid}")).space)
    assert [(p.bits, p.gamma, p.ratio) for p in points] == [
        ("fp32", "", 0.0), (4, "max", 0.0), (4, "mean", 0.0), (2, "max", 0.0), (2, "mean", 0.0),
    ]  # fmt: skip


def test_points_cross_all_factors(study):
    more = (
        "criterion = ['none', 'l1', 'random']\nratio = [0.25, 0.5]\ntarget = ['loihi1', 'loihi2']"
    )
    points = points_of(study((SPACE, f"{SPACE}\n{more}")).space)
    assert len(points) == len(set(points)) == 3 * (1 + 2 * 2) * 2
    assert {p.ratio for p in points if p.criterion == "none"} == {0.0}


def test_a_point_reads_as_words():
    point = Point(bits=4, gamma="mean", grid="odd", criterion="svs", ratio=0.5, target="loihi2")
    assert point.label() == "4 bit mean odd, svs 50% on loihi2"


def test_quick_cuts_samples_seeds_and_epochs(study):
    read = study(quick=True)
    assert read.samples == 128
    assert read.space.seeds == (0, 1)
    assert read.training.epochs["finetune"] == 1
    assert read.space.bits == ("fp32", 4, 2)
    table = ("[limits]", "[quick]\nsamples = 9\nbits = [4]\nseeds = [5]\nepochs = 0\n[limits]")
    read = study(table, quick=True)
    assert (read.samples, read.space.bits, read.space.seeds) == (9, (4,), (5,))
    assert read.training.epochs["finetune"] == 0
    assert study(table).space.bits == ("fp32", 4, 2)


def test_every_seed_may_have_a_parent_of_its_own(study, folder):
    read = study(('model = "model.pt"', 'model = "parent_{seed}.pt"'))
    assert read.model_of(3) == str(folder / "parent_3.pt")
