"""The user's arrays: what is accepted, and under which names."""

import numpy as np
import pytest

from snndeploy.errors import ModelError
from snndeploy.npz import dump_npz
from snndeploy.samples import check_samples, read_samples

ONE = {"in": (3,)}
TWO = {"left": (3,), "right": (2, 2)}


def write(path, **arrays):
    path.write_bytes(dump_npz(arrays))
    return path


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.float16, np.float32, ">f8"])
def test_every_real_dtype_becomes_float64(tmp_path, dtype):
    x = np.ones((4, 2, 3), dtype=dtype)
    samples = read_samples(write(tmp_path / "a.npz", x=x), ONE)
    assert samples.x["in"].dtype == np.float64
    np.testing.assert_array_equal(samples.x["in"], 1.0)


def test_one_input_may_be_named_or_not(tmp_path):
    x = np.zeros((4, 2, 3))
    for key in ("x", "x.in"):
        (tmp_path / "a.npz").write_bytes(dump_npz({key: x}))
        assert read_samples(tmp_path / "a.npz", ONE).n == 2


def test_several_inputs_are_named(tmp_path):
    arrays = {"x.left": np.zeros((4, 2, 3)), "x.right": np.zeros((4, 2, 2, 2))}
    samples = read_samples(write(tmp_path / "a.npz", **arrays), TWO)
    assert samples.x["right"].shape == (4, 2, 2, 2)
    with pytest.raises(ModelError, match=r"E1205.*'x\.right'"):
        read_samples(write(tmp_path / "b.npz", x=np.zeros((4, 2, 3))), TWO)


def test_inputs_of_different_sample_counts_are_refused():
    x = {"left": np.zeros((4, 2, 3)), "right": np.zeros((4, 3, 2, 2))}
    with pytest.raises(ModelError, match=r"E1206.*different numbers"):
        check_samples(x, TWO)


def test_a_misspelt_name_is_guessed(tmp_path):
    path = write(tmp_path / "a.npz", **{"x.lfet": np.zeros((4, 2, 3)), "x.right": np.zeros((4, 2))})
    with pytest.raises(ModelError, match=r"did you mean 'x\.left'"):
        read_samples(path, TWO)


def test_samples_are_read_only_copies():
    x = np.zeros((4, 2, 3))
    samples = check_samples({"in": x}, ONE)
    x[:] = 1
    assert samples.x["in"].max() == 0
    with pytest.raises(ValueError, match="read-only"):
        samples.x["in"][0] = 1


def test_first_takes_labels_along():
    samples = check_samples({"in": np.zeros((4, 5, 3))}, ONE, label=np.arange(5))
    assert samples.first(2).n == 2
    assert samples.first(2).label.tolist() == [0, 1]


def test_rows_come_in_the_order_asked_for():
    x = np.arange(4 * 5 * 3).reshape(4, 5, 3)
    chosen = check_samples({"in": x}, ONE, label=np.arange(5)).rows(np.array([3, 0]))
    assert chosen.label.tolist() == [3, 0]
    assert np.array_equal(chosen.x["in"], x[:, [3, 0]])


def test_only_the_same_values_and_labels_have_the_same_digest():
    def digest(x, label=None, name="in"):
        return check_samples({name: x}, {name: (3,)}, label=label).digest()

    x = np.arange(12).reshape(2, 2, 3)
    same = {digest(x), digest(x.astype(float)), digest(x.astype(np.uint8))}
    others = [digest(x + 1), digest(x.reshape(1, 4, 3)), digest(x, name="other"),
              digest(x, np.array([0, 1])), digest(x, np.array([1, 0]))]  # fmt: skip
    assert len(same) == 1
    assert len({*same, *others}) == 6
