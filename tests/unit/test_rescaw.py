"""The quantizer by hand, against the published formula, and against the facts known of it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snndeploy.compress.rescaw import (
    Codes,
    clipped_share,
    from_codes,
    gamma_of,
    n_codes_used,
    signs_of,
    sqnr_db,
    to_codes,
)
from snndeploy.compress.straight import straight, truncate

ONE = np.ones(1)


def odd(bits):
    return Codes(bits=bits, kind="odd")


def gamma(weight, rule, *, bits=4, kind="odd", by_channel=False, percentile=0.99):
    codes = Codes(bits=bits, kind=kind)
    return gamma_of(weight, rule, codes, percentile=percentile, by_channel=by_channel)


def test_odd_codes_by_hand():
    weight = np.array([[-2.0, -1.0, -0.5, -0.1, 0.0, 0.1, 0.5, 1.0, 2.0]])
    assert to_codes(weight, ONE, odd(2)).tolist() == [[-3, -3, -1, -1, 1, 1, 1, 3, 3]]
    assert to_codes(weight, 2 * ONE, odd(2)).tolist() == [[-3, -1, -1, -1, 1, 1, 1, 1, 3]]
    # s = 15: 7.5 * (0.5 + 1) = 11.25 -> 11 -> 7; 7.5 * 0.9 = 6.75 -> 7 -> -1
    assert to_codes(weight, ONE, odd(4)).tolist() == [[-15, -15, -7, -1, 1, 1, 7, 15, 15]]
    real = from_codes(np.array([[-3, 1, 3]]), 0.6 * ONE, odd(2))
    assert real == pytest.approx(np.array([[-0.6, 0.2, 0.6]]))


@pytest.mark.parametrize("bits", range(2, 9))
def test_odd_codes_are_odd_symmetric_and_without_zero(bits):
    weight = np.linspace(-1.3, 1.3, 4001)[None]
    found = to_codes(weight, ONE, odd(bits))
    assert set(np.unique(found)) == set(range(-(2**bits) + 1, 2**bits, 2))
    assert to_codes(np.zeros((1, 1)), ONE, odd(bits)) == 1  # half to even: the upper code
    off_ties = np.abs(found) > 1
    assert np.array_equal(to_codes(-weight, ONE, odd(bits))[off_ties], -found[off_ties])


@given(
    bits=st.integers(2, 8),
    clip=st.floats(1e-3, 1e3),
    values=st.lists(st.floats(-10, 10), min_size=1, max_size=40),
)
@settings(max_examples=60, deadline=None)
def test_odd_codes_are_the_published_formula(bits, clip, values):
    """W_hat = gamma (2/s round(s/2 (clamp(W/gamma, -1, 1) + 1)) - 1), equations 4 to 6 and 9."""
    weight, s = np.array([values]), 2**bits - 1
    w_int = torch.round(s / 2 * (torch.clamp(torch.from_numpy(weight / clip), -1, 1) + 1))
    published = clip * (2 / s * w_int.numpy() - 1)
    ours = from_codes(to_codes(weight, clip * ONE, odd(bits)), clip * ONE, odd(bits))
    np.testing.assert_allclose(ours, published, rtol=1e-9, atol=1e-12 * clip)
    inside = np.abs(weight) <= clip
    assert np.all(np.abs(ours - weight)[inside] <= clip / s * (1 + 1e-9))


def test_codes_of_the_chip_by_hand():
    weight = np.array([[-1.0, -0.6, -0.2, 0.0, 0.2, 0.6, 1.0]])

    def found(bits, mode):
        codes = Codes(bits=bits, kind="chip", sign_mode=mode)
        return to_codes(weight, ONE, codes).tolist()[0], codes.largest, codes.n_codes

    assert found(2, "mixed") == ([-1, -1, 0, 0, 0, 1, 1], 1, 3)  # ternary
    assert found(4, "mixed") == ([-7, -4, -1, 0, 1, 4, 7], 7, 15)
    assert found(2, "excitatory") == ([0, 0, 0, 0, 1, 2, 3], 3, 4)
    assert found(2, "inhibitory") == ([-3, -2, -1, 0, 0, 0, 0], 3, 4)
    assert found(8, "mixed")[1:] == (127, 255)
    assert (odd(8).largest, odd(8).n_codes) == (255, 256)


def test_signs_follow_the_weights_but_for_odd_codes():
    assert signs_of(np.array([0.0, 2.0]), "chip") == "excitatory"
    assert signs_of(np.array([0.0, -2.0]), "chip") == "inhibitory"
    assert signs_of(np.array([1.0, -2.0]), "chip") == "mixed"
    assert signs_of(np.array([1.0, 2.0]), "odd") == "mixed"


def test_clip_points_by_hand():
    weight = np.array([[1.0, -2.0], [3.0, -4.0]])
    for rule, tensor, channel in (
        ("max", [4], [2, 4]), ("mean", [2.5], [1.5, 3.5]), ("vanilla", [1], [1, 1])
    ):  # fmt: skip
        assert gamma(weight, rule).tolist() == tensor
        assert gamma(weight, rule, by_channel=True).tolist() == channel
    ramp = np.arange(-30.0, 71.0)[None]  # percentiles 5 and 95 are -25 and 65
    assert gamma(ramp, "percentile", percentile=0.95).tolist() == [65]
    assert gamma(-ramp, "percentile", percentile=0.95).tolist() == [65]
    rows = np.array([[1.0, -1.0], [0.0, 0.0]])
    assert gamma(rows, "max", by_channel=True).tolist() == [1, 1], "a row of zeros"
    assert gamma(np.zeros((2, 2)), "mse").tolist() == [1]


@pytest.mark.parametrize("kind", ["odd", "chip"])
@pytest.mark.parametrize("bits", [2, 3, 4, 6])
def test_no_clip_point_has_less_error_than_mse(bits, kind):
    rng = np.random.default_rng(bits)
    weight = np.stack([rng.normal(0, 0.1, 3000), rng.laplace(0, 3.0, 3000)])
    codes = Codes(bits=bits, kind=kind)

    def loss(clip):
        return np.square(weight - from_codes(to_codes(weight, clip, codes), clip, codes)).sum(1)

    best = gamma(weight, "mse", bits=bits, kind=kind, by_channel=True)
    largest = np.abs(weight).max(axis=1)
    tried = np.min([loss(share * largest) for share in np.linspace(0.02, 1.2, 1200)], axis=0)
    assert np.all(loss(best) <= tried * 1.01)


def test_mse_finds_a_grid_that_weights_lie_on():
    codes = odd(3)
    integers = np.random.default_rng(0).choice([-7, -5, -3, -1, 1, 3, 5, 7], (6, 40))
    weight = from_codes(integers, 0.37 * ONE, codes)
    found = gamma(weight, "mse", bits=3)
    assert np.array_equal(to_codes(weight, found, codes), integers)


SQNR = {
    # bits, weights: vanilla, 1/99 percentile, mean, best [dB]; best gamma / mean |w|
    (8, "gauss"): (29.8, 23.6, 6.3, 40.6, 4.96),
    (4, "gauss"): (5.2, 19.1, 6.3, 19.4, 3.15),
    (2, "gauss"): (-12.1, 6.9, 6.1, 9.2, 1.87),
    # 2 / ((2 * 9.7 / 255)^2 / 12 + 2 exp(-9.7)) of the distribution itself: 35.2 dB
    (8, "laplace"): (29.9, 17.0, 4.4, 35.2, 9.7),
    (4, "laplace"): (4.5, 15.1, 4.3, 16.0, 4.9),
    (2, "laplace"): (-12.2, 4.5, 4.2, 7.1, 2.3),
}


def quantiles(kind, n=200_000):
    """Return a distribution's own quantiles, root mean square 0.07: no luck of a sample's tail."""
    middle = 2 * (torch.arange(n, dtype=torch.float64) + 0.5) / n - 1
    gauss = torch.erfinv(middle) * 2**0.5
    laplace = -torch.sign(middle) * torch.log1p(-middle.abs()) / 2**0.5
    return 0.07 * (gauss if kind == "gauss" else laplace).numpy().reshape(100, -1)


@pytest.mark.parametrize(("bits", "kind"), SQNR)
def test_signal_to_noise_of_every_rule_on_synthetic_weights(bits, kind):
    weight = quantiles(kind)
    *wanted, ratio = SQNR[bits, kind]
    for rule, decibel in zip(("vanilla", "percentile", "mean", "mse"), wanted, strict=True):
        clip = gamma(weight, rule, bits=bits)
        found = sqnr_db(weight, from_codes(to_codes(weight, clip, odd(bits)), clip, odd(bits)))
        assert abs(found - decibel) <= 0.3, rule
    found_ratio = float(clip[0] / np.abs(weight).mean())
    assert found_ratio == pytest.approx(ratio, rel=0.05)
    largest = gamma(weight, "max", bits=bits)
    by_largest = from_codes(to_codes(weight, largest, odd(bits)), largest, odd(bits))
    assert sqnr_db(weight, by_largest) <= found + 1e-9


def test_the_mean_rule_clips_two_fifths_of_gaussian_weights():
    rng = np.random.default_rng(1)
    for weight, share in (
        (rng.normal(size=(4, 50000)), 0.425),
        (rng.laplace(size=(4, 50000)), 0.368),
    ):
        assert clipped_share(weight, gamma(weight, "mean")) == pytest.approx(share, abs=0.001)


def test_signal_to_noise_and_use_of_codes_by_hand():
    weight = np.array([[3.0, 4.0]])
    assert sqnr_db(weight, np.array([[3.0, 3.5]])) == pytest.approx(20.0)
    assert sqnr_db(weight, weight) == float("inf")
    assert n_codes_used(np.array([[1, 1], [3, -5]])) == 3


def test_straight_returns_the_integer_itself_and_its_slope():
    real = torch.tensor([0.1, 1e8, -3.7], requires_grad=True)
    integers = torch.tensor([3.0, 1.0, -4.0])
    added = real + (integers - real).detach()
    assert added.tolist() != integers.tolist(), "the usual trick is exact here: not a test"
    passed = straight(real, integers, torch.tensor(2.5))
    assert passed.tolist() == integers.tolist()
    passed.sum().backward()
    assert real.grad.tolist() == [2.5, 2.5, 2.5]
    x = torch.tensor([-1.5, 1.5], requires_grad=True)
    truncate(x).sum().backward()
    assert truncate(x).tolist() == [-1, 1]
    assert x.grad.tolist() == [1, 1]
