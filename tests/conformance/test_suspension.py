"""An attempt that only waits is ended after its inactivity timeout; another goes on where it was."""

from tests.conformance.conftest import Ingress
from tests.conformance.waiting import eventually


def letter(ingress: Ingress, key: str) -> str:
    return eventually(lambda: ingress.call(f"Mailbox/{key}/peek"), "the awakeable's id")


def resolve(ingress: Ingress, awakeable_id: str, news: str) -> None:
    assert ingress.post(f"restate/awakeables/{awakeable_id}/resolve", news).status_code == 202


def suspended(ingress: Ingress, invocation_id: str) -> None:
    eventually(lambda: ingress.status(invocation_id) == "suspended" or None, "the suspension")


def test_an_awakeable_wakes_who_is_suspended(ingress: Ingress, name: str) -> None:
    invocation_id = ingress.send("Patient/waits/send", name)
    awakeable_id = letter(ingress, name)
    suspended(ingress, invocation_id)
    resolve(ingress, awakeable_id, "news")
    assert ingress.attach(invocation_id).json() == 2


def test_who_waits_for_two_things_has_both(ingress: Ingress, name: str) -> None:
    invocation_id = ingress.send("Patient/waits_for_both/send", name)
    first, second = letter(ingress, name).split()
    suspended(ingress, invocation_id)
    resolve(ingress, second, "two")
    suspended(ingress, invocation_id)
    resolve(ingress, first, "one")
    assert ingress.attach(invocation_id).json() == ["one", "two"]


def test_sleeps_calls_and_attached_results_wake_who_is_suspended(ingress: Ingress, name: str) -> None:
    called, attached, slept_in, called_in, attached_in = ingress.call("Patient/naps", [500, name])
    assert called == attached == "slept 500"
    assert 1 < slept_in < called_in < attached_in


def test_who_is_suspended_is_cancelled(ingress: Ingress, name: str) -> None:
    invocation_id = ingress.send("Patient/waits/send", name)
    suspended(ingress, invocation_id)
    ingress.cancel(invocation_id)
    assert ingress.attach(invocation_id).status_code == 409


def test_all_of_many_that_wait_at_once_go_on(ingress: Ingress) -> None:
    """They are more than some servers let a connection carry."""
    waiting = [ingress.send("Plain/nap/send", 1000) for _ in range(150)]
    assert {ingress.attach(invocation_id).json() for invocation_id in waiting} == {"slept 1000"}
