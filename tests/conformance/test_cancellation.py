"""A cancel is an error at the next await, children first."""

from tests.conformance.conftest import Ingress
from tests.conformance.waiting import eventually


def letter(ingress: Ingress, key: str) -> str | None:
    return ingress.call(f"Mailbox/{key}/peek")


def test_a_handler_cancels_what_it_sent(ingress: Ingress) -> None:
    assert ingress.call("Plain/cancels") == "409"


def test_a_cancel_from_outside_ends_a_sleep(ingress: Ingress) -> None:
    invocation_id = ingress.send("Plain/nap/send", 600_000)
    ingress.cancel(invocation_id)
    assert ingress.attach(invocation_id).status_code == 409


def test_a_cancel_reaches_the_child_and_may_be_handled(ingress: Ingress, name: str) -> None:
    invocation_id = ingress.send("Plain/tells_when_cancelled/send", name)
    eventually(lambda: letter(ingress, name), "the start")
    ingress.cancel(invocation_id)
    assert ingress.attach(invocation_id).json() == "caller 409"
    assert eventually(lambda: letter(ingress, f"{name} child"), "the child's word") == "child 409"
