"""What people are shown: nothing that commands their terminal, and tables that one long key does not spoil."""

import pytest

from perdure.cli.tables import print_fields, print_table, shortened


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
