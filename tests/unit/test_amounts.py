"""Amounts as users write them become numbers in SI units, and nothing else does."""

import pytest

from snndeploy.cli.amounts import parse_battery, parse_power, parse_rate
from snndeploy.errors import UsageError


@pytest.mark.parametrize(
    ("text", "hertz"),
    [
        ("10/s", 10), ("10Hz", 10), ("10 Hz", 10), ("10/min", 1 / 6), ("6/h", 1 / 600),
        ("1e3/s", 1000), (".5/s", 0.5), ("2.5kHz", 2500), ("100mHz", 0.1),
    ],
)  # fmt: skip
def test_rates(text, hertz):
    assert parse_rate(text) == pytest.approx(hertz)


@pytest.mark.parametrize(
    ("text", "watts"),
    [("5mW", 5e-3), ("0W", 0), ("0.25 W", 0.25), ("300uW", 3e-4), ("300µW", 3e-4), ("7nW", 7e-9)],
)
def test_powers(text, watts):
    assert parse_power(text, "--host-power") == pytest.approx(watts)


@pytest.mark.parametrize(
    ("text", "joules"),
    [
        ("2.2Wh", 7920), ("500mWh", 1800), ("8kJ", 8000), ("1000mAh@3.7V", 13320),
        ("2Ah@1500mV", 10800), ("9 J", 9),
    ],
)  # fmt: skip
def test_batteries(text, joules):
    assert parse_battery(text) == pytest.approx(joules)


@pytest.mark.parametrize(
    ("read", "text", "code"),
    [
        *((parse_rate, text, "E5065") for text in
          ("", "10", "/s", "ten/s", "0/s", "-1/s", "10/d", "1e999/s", "nan/s", "10/s/s", "1_0/s")),
        *((lambda t: parse_power(t, "--host-power"), text, "E5066") for text in
          ("", "5", "mW", "-5mW", "5mw", "5MW", "inf W", "5m W")),
        *((parse_battery, text, "E5067") for text in
          ("", "1000mAh", "@3.7V", "1000mAh@", "1000mAh@0V", "1Wh@3V", "0Wh", "2.2 VA", "3.7V")),
    ],
)  # fmt: skip
def test_everything_else_is_refused_with_an_example(read, text, code):
    with pytest.raises(UsageError, match=rf"^error\[{code}\]") as caught:
        read(text)
    assert "use " in caught.value.remedy
