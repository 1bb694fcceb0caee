"""Handlers call handlers, wait, and combine what they wait for."""

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


def test_gathered_calls_run_together(ingress: Ingress) -> None:
    begun = time.monotonic()
    assert ingress.call("Plain/gathers", [1000] * 10) == ["slept 1000"] * 10
    assert time.monotonic() - begun < 5


def test_select_takes_what_completes_first(ingress: Ingress) -> None:
    assert ingress.call("Plain/selects") == ["quick", "slept 20"]


def test_wait_completed_tells_what_is_done_from_what_is_not(ingress: Ingress) -> None:
    assert ingress.call("Plain/waits_for_some") == [1, 1]


def test_results_come_in_the_order_of_completion(ingress: Ingress) -> None:
    assert ingress.call("Plain/as_they_complete", [1200, 600, 10]) == ["slept 10", "slept 600", "slept 1200"]
