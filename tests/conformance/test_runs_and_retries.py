"""Runs are recorded, and made again by their own policy; failed attempts are made again by the engine's."""

from tests.conformance.conftest import Ingress
from tests.conformance.waiting import eventually


def test_runs_give_their_results_in_order(ingress: Ingress) -> None:
    assert ingress.call("Plain/steps", 10) == [n * n for n in range(10)]


def test_a_terminal_error_in_a_run_is_recorded_and_raised(ingress: Ingress) -> None:
    assert ingress.call("Plain/step_fails_for_good", "teapot") == "418 teapot"


def test_a_run_that_fails_is_made_again_until_it_succeeds(ingress: Ingress, name: str) -> None:
    assert ingress.call("Plain/step_fails_twice", name) == 3


def test_a_run_gives_up_after_its_attempts(ingress: Ingress, name: str) -> None:
    assert ingress.call("Plain/step_gives_up", name) == "gave up after 2"


def test_a_run_gives_up_after_its_time(ingress: Ingress, name: str) -> None:
    assert ingress.call("Plain/step_runs_out_of_time", name) == "gave up"


def test_a_failed_attempt_is_made_again_without_the_steps_that_were_recorded(ingress: Ingress, name: str) -> None:
    assert ingress.call("Plain/handler_fails_once", name) == 1


def test_random_values_and_times_are_the_same_on_each_attempt(ingress: Ingress) -> None:
    *_, attempts = ingress.call("Plain/random_values")
    assert attempts in (1, 2)  # counted under the uuid: a second attempt with another one would count 1 again


def test_random_values_differ_between_invocations(ingress: Ingress) -> None:
    first, second = (ingress.call("Plain/random_values") for _ in range(2))
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_runs_go_on_together(ingress: Ingress) -> None:
    assert ingress.call("Plain/steps_together", 6) == [n * n for n in range(6)]


def test_a_run_may_give_megabytes(ingress: Ingress) -> None:
    assert ingress.call("Plain/big_step", 4_000_000) == 4_000_000


def test_an_attempt_may_name_the_time_of_the_next(ingress: Ingress, name: str) -> None:
    assert ingress.call("Plain/fails_until_later", name) >= 390  # its own clock ticks beside the engine's


def test_an_invocation_is_killed_after_its_last_attempt(ingress: Ingress, name: str) -> None:
    answer = ingress.post("Doomed/fails_each_time", name)
    assert answer.status_code == 500
    assert "there is no hope" in answer.json()["message"]
    assert ingress.call("Doomed/attempts", name) == 3


def test_an_invocation_is_paused_after_its_last_attempt_and_resumed(ingress: Ingress, name: str) -> None:
    invocation_id = ingress.send("Stubborn/succeeds_at_last/send", name)
    eventually(lambda: ingress.status(invocation_id) == "paused" or None, "the pause")
    ingress.resume(invocation_id)
    assert ingress.attach(invocation_id).json() == 4
