"""How scopes and limit keys are spelled."""

import pytest

from perdure.errors import UsageError
from perdure.protocol.ids import idempotent_invocation_id, workflow_invocation_id
from perdure.protocol.scopes import check_scope

ALLOWED = ["a", "Tenant-7_x.y", "x" * 36]
REFUSED = ["", "a b", "ä", "x" * 37, "a\n", "a/b/c", "/", "a/", "/b", "a//b"]


@pytest.mark.parametrize("name", ALLOWED)
def test_names_that_are_scopes_and_levels_of_limit_keys(name: str) -> None:
    check_scope(name, None)
    check_scope("s", name)
    check_scope("s", f"{name}/{name}")


@pytest.mark.parametrize("name", REFUSED)
def test_names_that_are_neither(name: str) -> None:
    with pytest.raises(UsageError, match="a scope is 1 to 36"):
        check_scope(name, None)
    with pytest.raises(UsageError, match="each 1 to 36"):
        check_scope("s", name)


def test_a_limit_key_belongs_to_a_scope() -> None:
    with pytest.raises(UsageError, match="without a scope"):
        check_scope(None, "a")


def test_what_is_in_a_scope_is_never_what_is_in_none() -> None:
    unique = slice(-22, None)  # what lies before is the partition's
    assert workflow_invocation_id("y", "z", "x")[unique] != workflow_invocation_id("x", "y,z")[unique]
    scoped, unscoped = idempotent_invocation_id("s", None, "h", "k", "x"), idempotent_invocation_id("x", "s", "h", "k")
    assert scoped[unique] != unscoped[unique]
