"""The errors that have a behaviour of their own."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import pytest

from perdure.errors import SuspendedException, UnknownTarget, is_internal_exception


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
