"""Handlers call handlers of any kind, by reference and by name, and sleep."""

import time

import pytest

from tests.conformance.conftest import Ingress


def test_typed_and_generic_calls_give_the_callees_result(ingress: Ingress) -> None:
    assert ingress.call("Plain/calls", "hello") == ["hello", '"hello"']


@pytest.mark.parametrize("code", [404, 500])
def test_the_callees_terminal_error_is_the_callers(ingress: Ingress, code: int) -> None:
    assert ingress.call("Plain/calls_what_fails", code) == f"{code} no, and that is final"


def test_a_sleep_lasts(ingress: Ingress) -> None:
    begun = time.monotonic()
    assert ingress.call("Plain/nap", 300) == "slept 300"
    assert time.monotonic() - begun >= 0.3


def test_a_handler_runs_a_workflow_and_calls_it(ingress: Ingress, name: str) -> None:
    assert ingress.call("Plain/calls_workflow", name) == ["noted", "too late: 409"]


def test_a_call_in_a_scope_reaches_another_object(ingress: Ingress, name: str) -> None:
    assert ingress.call("Doomed/adds_in_scope", name) == [5, None]
