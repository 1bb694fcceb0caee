"""The errors that have a behaviour of their own."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import pytest

from perdure import errors
from perdure.errors import SuspendedException, UnknownTarget, is_internal_exception


def drawn() -> dict[str, str | None]:
    """The classes that the docstring draws, each with the one that it is drawn under."""
    tree: dict[str, str | None] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").partition("What only one part")[0].splitlines():
        found = re.match(r"((?:│   |    )*(?:[├└]── )?)([A-Z]\w+)(?:  |$)", line)
        if found is not None:
            depth = len(found[1]) // 4
            above[depth:] = [found[2]]
            tree[found[2]] = above[depth - 1] if depth else None
    return tree


def test_the_tree_that_is_drawn_is_the_tree_that_there_is() -> None:
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, BaseException)]
    bases = {each.__name__: each.__base__.__name__ for each in classes if each.__base__ is not None}
    assert drawn() == {name: base if base in bases else None for name, base in bases.items()}


def test_the_sdks_control_flow_is_found_through_what_wraps_it() -> None:
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = SuspendedException("suspended")
    assert is_internal_exception(wrapped)
    assert not is_internal_exception(RuntimeError("another"))


def test_a_circle_of_causes_is_no_trap() -> None:
    first, second = RuntimeError("first"), RuntimeError("second")
    first.__cause__, second.__cause__ = second, first
    assert not is_internal_exception(first)


def test_an_unknown_target_names_what_is_near_or_what_there_is() -> None:
    assert "Did you mean BillingAgent/run?" in str(UnknownTarget("BilingAgent/run", ["BillingAgent/run", "A/b"]))
    assert str(UnknownTarget("X/y", ["A/b", "C/d"])).endswith("What exists: A/b, C/d.")
    assert str(UnknownTarget("X/y", [f"A/h{n}" for n in range(30)])).endswith(" and more.")
    assert "deployments register" in str(UnknownTarget("X/y", []))


def test_an_unknown_target_is_compared_with_few_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, Sequence[str]]] = []

    def closest(target: str, known: Sequence[str], **options: Any) -> list[str]:
        compared.append((target, known))
        return get_close_matches(target, known, **options)

    monkeypatch.setattr("perdure.errors.get_close_matches", closest)
    known = sorted(f"Service{service}/handler{handler}" for service in range(500) for handler in range(10))
    assert "Did you mean Service377/handler5?" in str(UnknownTarget("Service377/hander5", known))
    assert "What exists: Service0/handler0" in str(UnknownTarget("x" * 100_000, known))
    assert all(len(target) <= 500 and len(near) <= 100 for target, near in compared)
