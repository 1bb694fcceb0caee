"""Times and durations can be written, whatever they are."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.server.durations import parse_duration_ms
from perdure.times import (
    DELAY_MS_MAX,
    bounded_ms,
    date_text,
    duration_text,
    iso_duration,
    minute_text,
    span_text,
    time_ms,
    time_text,
)

FOR_EVER_MS = 4_000_000 * 86_400_000  # `timedelta(days=4_000_000)` after the epoch
LAST_MS = 253_402_300_799_999  # the last millisecond that Python's own calendar has


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_800_000_000_123, "2027-01-15T08:00:00.123Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (LAST_MS, "9999-12-31T23:59:59.999Z"),
        (LAST_MS + 1, "+010000-01-01T00:00:00.000Z"),
        (FOR_EVER_MS, "+012921-08-18T00:00:00.000Z"),
        (-62_135_596_800_001, "+000000-12-31T23:59:59.999Z"),
        (-62_167_219_200_001, "-000001-12-31T23:59:59.999Z"),
    ],
)
def test_times_are_read_by_people_and_programs(at_ms: int, text: str) -> None:
    assert time_text(at_ms) == text
    assert time_ms(text) == at_ms
    assert date_text(at_ms) == text[:-14]
    assert minute_text(at_ms) == f"{text[:-14]} {text[-13:-8]} UTC"


@given(st.integers(-62_135_596_800_000, LAST_MS))
def test_a_time_is_what_the_calendar_says(at_ms: int) -> None:
    whole = datetime.fromtimestamp(at_ms // 1000, UTC)
    assert time_text(at_ms) == f"{whole.replace(tzinfo=None).isoformat()}.{at_ms % 1000:03}Z"


@given(st.integers())
def test_nothing_is_too_far_off_to_be_shown(any_ms: int) -> None:
    assert time_ms(time_text(any_ms)) == any_ms
    for show in (date_text, minute_text, duration_text, span_text, iso_duration):
        assert show(any_ms)
    assert duration_text(any_ms, rough=True)
    assert 0 <= bounded_ms(any_ms) <= DELAY_MS_MAX


def test_what_is_put_off_for_the_longest_is_in_every_calendar() -> None:
    assert time_text(int(datetime.now(UTC).timestamp() * 1000) + DELAY_MS_MAX) < "9100"


@pytest.mark.parametrize(
    ("duration_ms", "exact", "rough"),
    [
        (0, "0s", "0s"),
        (500, "500ms", "500ms"),
        (60_000, "1m", "1m"),
        (86_400_000, "1d", "1d"),
        (-250_000, "-4m 10s", "-4m 10s"),
        (86_400_000 + 300_000, "1d 5m", "1d"),
        (90_061_001, "1d 1h 1m 1s 1ms", "1d 1h"),
    ],
)
def test_durations_read_as_people_write_them(duration_ms: int, exact: str, rough: str) -> None:
    assert duration_text(duration_ms) == exact
    assert duration_text(duration_ms, rough=True) == rough


@given(st.integers(0, DELAY_MS_MAX))
def test_a_duration_that_is_shown_can_be_given(duration_ms: int) -> None:
    assert parse_duration_ms(duration_text(duration_ms)) == duration_ms


@pytest.mark.parametrize(
    ("span_ms", "text"),
    [
        (-1, "0.0 s"),
        (3_140, "3.1 s"),
        (90_000, "90 s"),
        (120_000, "2 min"),
        (7_199_999, "119 min"),
        (7_200_000, "2 h"),
        (172_800_000, "2 days"),
    ],
)
def test_a_sentence_has_a_span_in_one_unit(span_ms: int, text: str) -> None:
    assert span_text(span_ms) == text
