"""What people are shown: nothing that commands their terminal, and tables that one long key does not spoil."""

import pytest

from perdure.cli.tables import age, print_fields, print_table, shortened, until, when


def test_a_key_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    key = "x\x1b]0;pwned\x07\x1b[2J\x9b1m\u202ey\nz"
    print_table(("TARGET", "ÄHNLICH"), [(f"Obj/{key}", "für 你 🙂")])
    print_fields([("target", key)])
    shown = capsys.readouterr().out
    assert all(each.isprintable() or each == "\n" for each in shown)
    assert r"Obj/x\x1b]0;pwned\x07\x1b[2J\x9b1m\u202ey z  für 你 🙂" in shown


def test_a_field_has_the_lines_of_its_value(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields(
        [("id", "inv_1"), ("gone", None), ("last failure", "[570] cannot go on\n  entry 3:  run\n  now:      call")]
    )
    assert capsys.readouterr().out.splitlines() == [
        "id            inv_1",
        "last failure  [570] cannot go on",
        "                entry 3:  run",
        "                now:      call",
    ]


def test_a_long_target_is_cut() -> None:
    assert shortened("Box/key/open") == "Box/key/open"
    assert len(shortened("Box/" + "k" * 5000)) == 61


NOW_MS = 1_700_000_000_000


@pytest.mark.parametrize("at_ms", [NOW_MS - 10_000, NOW_MS - 400, NOW_MS, NOW_MS + 400])
def test_what_is_due_lies_ahead_also_at_the_moment_that_it_is(at_ms: int) -> None:
    assert until(at_ms, NOW_MS) == "in 0s"
    assert until(NOW_MS + 4 * 3_600_000 + 60_000, NOW_MS) == "in 4h 1m"
    assert until(None, NOW_MS) is None


@pytest.mark.parametrize("at_ms", [NOW_MS - 400, NOW_MS, NOW_MS + 400, NOW_MS + 10_000])
def test_what_has_happened_lies_behind_also_by_another_clock(at_ms: int) -> None:
    assert age(at_ms, NOW_MS) == "0s ago"
    assert age("2023-11-14T22:13:10.000Z", NOW_MS) == "10s ago"


def test_what_may_be_either_is_what_its_time_says() -> None:
    assert [when(NOW_MS + off_ms, NOW_MS) for off_ms in (-2_000, -400, 0, 400, 2_000)] == [
        "2s ago",
        "0s ago",
        "0s ago",
        "in 0s",
        "in 2s",
    ]
