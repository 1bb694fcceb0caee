"""What Retry-After asks for, in both its forms, and which statuses may pass."""

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.retry_after import may_pass, retry_after_s

NOW_S = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 7.5 ", 7.5),
        ("-5", -5),
        ("1e300", 1e300),
        ("9" * 5_000, float("inf")),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30),
        ("Tue, 14 Nov 2023 22:13:50 -0000", 30),
        ("Tue, 14 Nov 2023 17:13:50 -0500", 30),
        ("Tue, 14 Nov 2023 22:12:20 GMT", -60),
        *((value, None) for value in ("", "soon", "²", "1.²", "nan", "inf", "1_0", "Mon, 99 Foo 9999 07:28:00 GMT")),
    ],
)
@pytest.mark.usefixtures("new_york")
def test_a_delay_is_the_same_in_every_zone(value: str, seconds: float | None) -> None:
    assert retry_after_s(value, NOW_S) == seconds


@given(st.text())
def test_whatever_is_said_is_a_delay_or_nothing(value: str) -> None:
    assert isinstance(retry_after_s(value, NOW_S), float | None)


def test_what_may_pass_is_asked_again() -> None:
    assert [status for status in range(400, 502) if may_pass(status)] == [408, 409, 425, 429, 500, 501]
