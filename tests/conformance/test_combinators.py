"""Waiting for several things at once: for all, for the first, for as long as a sleep lasts."""

from tests.conformance.conftest import Ingress


def test_gathered_calls_run_together(ingress: Ingress) -> None:
    assert ingress.call("Plain/gathers_at_once", 10) == ["met"] * 10


def test_select_takes_what_completes_first(ingress: Ingress) -> None:
    assert ingress.call("Plain/selects") == ["quick", "slept 20"]


def test_wait_completed_tells_what_is_done_from_what_is_not(ingress: Ingress) -> None:
    assert ingress.call("Plain/waits_for_some") == [1, 1]


def test_results_come_in_the_order_of_completion(ingress: Ingress) -> None:
    assert ingress.call("Plain/as_they_complete", 3) == [2, 1, 0]


def test_a_sleep_limits_how_long_is_waited(ingress: Ingress) -> None:
    assert ingress.call("Plain/times_out") == "timeout"


def test_the_first_success_is_taken_whatever_fails_before(ingress: Ingress) -> None:
    assert ingress.call("Plain/first_to_succeed", [[1, 500], [100, 200], [600_000, 200]]) == "slept 100"


def test_the_first_failure_ends_the_wait_for_all(ingress: Ingress) -> None:
    assert ingress.call("Plain/all_or_first_to_fail", [[1, 200], [600_000, 200], [50, 404]]) == ["404"]
    assert ingress.call("Plain/all_or_first_to_fail", [[50, 200], [1, 200]]) == ["slept 50", "slept 1"]


def test_what_became_of_each_is_told(ingress: Ingress) -> None:
    assert ingress.call("Plain/all_outcomes", [[50, 200], [1, 404], [20, 200]]) == ["slept 50", "404", "slept 20"]
