"""Delays as clients write them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.errors import UsageError
from perdure.server.durations import parse_duration_ms
from perdure.times import DELAY_MS_MAX


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("PT10S", 10_000),
        ("P1DT2H", 93_600_000),
        ("PT0.5S", 500),
        ("PT1H30M", 5_400_000),
        ("P1W", 604_800_000),
        ("pt1m", 60_000),
        ("10s", 10_000),
        ("60ms", 60),
        ("60 sec", 60_000),
        ("1 day", 86_400_000),
        ("1h 30m", 5_400_000),
        ("1h30m", 5_400_000),
        ("1 hour, 5 minutes", 3_900_000),
        ("+10s", 10_000),
        ("01:30:00", 5_400_000),
        ("2d 00:00:00.5", 172_800_500),
        ("1000000d", 86_400_000_000_000),
        ("0s", 0),
    ],
)
def test_both_ways_of_writing_are_read(text: str, expected_ms: int) -> None:
    assert parse_duration_ms(text) == expected_ms


def test_a_delay_below_a_millisecond_is_not_no_delay() -> None:
    assert parse_duration_ms("1us") == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "P",
        "PT",
        "P1",
        "P1Y",
        "P1M",
        "10",
        "s",
        "-1s",
        "-PT1S",
        "1e3s",
        "1 fortnight",
        "\u0661s",
        "1s x",
        "10M",
        "10S",
        "++1s",
        "1:99:00",
        "01:00:00 1s",
        "1s ago",
    ],
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="expected one like `10s`"):
        parse_duration_ms(text)


@pytest.mark.parametrize("text", ["P1M", "P1Y2D", "P7000Y", "1month", "2 years", "1y 3d"])
def test_months_and_years_are_refused_with_the_reason(text: str) -> None:
    with pytest.raises(UsageError, match="months and years differ in length: say days"):
        parse_duration_ms(text)


@pytest.mark.parametrize("text", ["PT1Q", "10M", "1 yard", "3 monkeys"])
def test_what_is_no_month_gets_no_word_on_months(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_duration_ms(text)
    assert "months" not in str(refused.value)


def test_what_no_calendar_can_print_is_refused() -> None:
    assert parse_duration_ms(f"{DELAY_MS_MAX}ms") == DELAY_MS_MAX
    with pytest.raises(UsageError, match="longer than 7,000 years"):
        parse_duration_ms(f"{DELAY_MS_MAX + 1}ms")


@given(st.text(st.sampled_from("PT0123456789.,WDHMSdhmsu "), max_size=30) | st.text(max_size=200))
def test_any_text_gives_a_delay_or_a_reason(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert 0 <= parse_duration_ms(text) <= DELAY_MS_MAX
