"""`restate rules`: limits for scopes are set, switched off and on, and deleted."""

from collections.abc import Iterator

import pytest

from tests.peers.cli import Cli, row_of


@pytest.fixture
def pattern(cli: Cli, name: str) -> Iterator[str]:
    pattern = f"{name[:8]}/*"
    yield pattern
    cli.run("rules", "delete", pattern)


def test_a_rule_is_set_changed_and_deleted(cli: Cli, pattern: str) -> None:
    assert pattern not in cli("rules", "list")
    assert "Created rule" in cli("rules", "set", pattern, "--concurrency", "3", "--description", "few at once")
    listed = row_of(cli("rules", "list", "--extra"), pattern)
    assert listed[1:4] == ["3", "no", "few at once"]
    assert "Updated rule" in cli("rules", "set", pattern, "--concurrency", "4")
    assert row_of(cli("rules", "list", "--extra"), pattern)[1:4] == ["4", "no", "few at once"]
    assert "Deleted rule" in cli("rules", "delete", pattern)
    assert pattern not in cli("rules", "list")


def test_a_rule_is_switched_off_and_on(cli: Cli, pattern: str) -> None:
    cli("rules", "set", pattern, "--concurrency", "3")
    cli("rules", "disable", pattern)
    assert row_of(cli("rules", "list"), pattern)[2] == "yes"
    cli("rules", "enable", pattern)
    assert row_of(cli("rules", "list"), pattern)[2] == "no"


def test_a_rule_may_set_no_limit(cli: Cli, pattern: str) -> None:
    cli("rules", "set", pattern, "--unlimited")
    assert row_of(cli("rules", "list"), pattern)[1] == "unlimited"


def test_a_rule_that_is_not_there_is_not_deleted(cli: Cli, pattern: str) -> None:
    assert "No rule found" in cli.refused("rules", "delete", pattern)
