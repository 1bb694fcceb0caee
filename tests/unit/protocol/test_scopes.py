"""How scopes and limit keys are spelled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


PART = st.text("a,\\", min_size=1, max_size=4)
CALLS = st.tuples(st.none() | PART, st.sampled_from(["h", "a"]), PART)


@given(st.tuples(CALLS, CALLS))
def test_different_calls_of_a_scope_have_different_ids(
    calls: tuple[tuple[str | None, str, str], tuple[str | None, str, str]],
) -> None:
    first, second = (idempotent_invocation_id("S", key, handler, once, "t") for key, handler, once in calls)
    assert (first == second) == (calls[0] == calls[1])


def test_commas_in_a_key_are_not_those_between_the_parts() -> None:
    first, second = (idempotent_invocation_id("S", key, "h", once, "t") for key, once in (("a", "h,x"), ("a,h", "x")))
    assert first != second


def test_ids_are_what_they_were_in_stores_that_hold_some() -> None:
    assert workflow_invocation_id("S", "k,1") == "inv_10ijEeNLTRUS1qAjsnvwMyeH6zvY7UKJVZ"
    assert workflow_invocation_id("S", "k,1", "t") == "inv_1aJKpf2K7SP92NBDAfdVl7sCzcUakCSMaQ"
    assert idempotent_invocation_id("S", "k,1", "h", "a,b") == "inv_10ijEeNLTRUS2SdQauoPpUR1NRBJgZK1n7"
    assert idempotent_invocation_id("S", None, "h", "a", "t") == "inv_1aJKpf2K7SP94TPFLirSNhHDngDmWnzsph"
