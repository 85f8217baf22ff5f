"""The text form: printed, parsed back, refused with a line number."""

import numpy as np
import pytest
from hypothesis import given, settings

from snndeploy.errors import ModelError
from snndeploy.ir.text import parse_network, print_network
from tests.generator.networks import networks, random_network


@given(networks())
@settings(max_examples=40, deadline=None)
def test_print_and_parse_are_inverse(case):
    network, _ = case
    text, beside = print_network(network)
    assert not beside
    assert print_network(parse_network(text))[0] == text


@given(networks())
@settings(max_examples=20, deadline=None)
def test_long_arrays_are_kept_beside_the_text(case):
    network, _ = case
    text, beside = print_network(network, inline_below=4)
    assert all(array.size >= 4 for array in beside.values())
    assert print_network(parse_network(text, beside))[0] == print_network(network)[0]


def test_names_of_any_kind_survive():
    network, _ = random_network(np.random.default_rng(3))
    text, _ = print_network(network)
    strange = 'a "b"=c\n\x1b[31m'
    text = text.replace("network random", f"network {__import__('json').dumps(strange)}")
    assert parse_network(text).name == strange


BROKEN = {
    "another header": lambda text: "x" + text,
    "unknown key": lambda text: text.replace("wave=", "wvae=", 1),
    "unknown operation": lambda text: text.replace("= sub", "= div", 1),
    "missing array": lambda text: text.replace("  du 1 : ", "  du @du ", 1),
    "too few numbers": lambda text: text.replace("  vth 1 : ", "  vth 7 : ", 1),
    "cut in the middle": lambda text: text[: text.index(" = ") + 5],
    "a number that is none": lambda text: text.replace("steps=", "steps=x", 1),
    "empty": lambda _: "",
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_text_is_refused_with_its_line(how):
    network, _ = random_network(np.random.default_rng(1))
    with pytest.raises(ModelError, match=r"^error\[E1064\] line \d+: cannot read the network"):
        parse_network(BROKEN[how](print_network(network)[0]))
