"""How scopes and limit keys are spelled."""

import pytest

from perdure.errors import UsageError
from perdure.protocol.scopes import check_limit_key, check_scope

ALLOWED = ["a", "Tenant-7_x.y", "x" * 36]
REFUSED = ["", "a b", "ä", "a/b/c", "x" * 37, "a\n"]


@pytest.mark.parametrize("name", ALLOWED)
def test_names_that_are_scopes_and_levels_of_limit_keys(name: str) -> None:
    assert check_scope(name) == name
    assert check_limit_key(name, "s") == name
    assert check_limit_key(f"{name}/{name}", "s") == f"{name}/{name}"


@pytest.mark.parametrize("name", REFUSED)
def test_names_that_are_neither(name: str) -> None:
    with pytest.raises(UsageError, match="bad scope"):
        check_scope(name)
    with pytest.raises(UsageError, match="bad limit key"):
        check_limit_key(name, "s")


@pytest.mark.parametrize("key", ["/", "a/", "/b", "a//b"])
def test_no_level_is_empty(key: str) -> None:
    with pytest.raises(UsageError, match="one or two levels"):
        check_limit_key(key, "s")


def test_a_limit_key_counts_in_a_scope() -> None:
    with pytest.raises(UsageError, match="needs a scope"):
        check_limit_key("a", None)
