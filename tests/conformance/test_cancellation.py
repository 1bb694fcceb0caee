"""A cancel is an error at the next await, children first."""

from tests.conformance.conftest import Ingress
from tests.conformance.waiting import eventually

NEVER_BEGUN = (404, 409)  # the reference engine forgets what was cancelled before it began; ours remembers


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


def test_a_handler_cancels_what_it_calls(ingress: Ingress) -> None:
    assert ingress.call("Plain/cancels_its_call") == "409"


def test_a_cancelled_handler_goes_on_to_make_good(ingress: Ingress, name: str) -> None:
    invocation_id = ingress.send("Plain/makes_good/send", name)
    eventually(lambda: letter(ingress, name), "the start")
    ingress.cancel(invocation_id)
    assert ingress.attach(invocation_id).json() == "undone after 409"


def test_a_cancel_ends_the_wait_for_an_awakeable(ingress: Ingress, name: str) -> None:
    invocation_id = ingress.send("Plain/waits_for_awakeable/send", name)
    eventually(lambda: letter(ingress, name), "the awakeable's id")
    ingress.cancel(invocation_id)
    assert ingress.attach(invocation_id).json().startswith("409")


def test_a_cancel_ends_the_wait_for_a_promise(ingress: Ingress, name: str) -> None:
    invocation_id = ingress.send(f"Approval/{name}/run/send", "claim")
    eventually(lambda: ingress.call(f"Approval/{name}/state_of")[0], "the start")
    ingress.cancel(invocation_id)
    assert ingress.attach(invocation_id).json().startswith("claim: 409")


def test_what_has_not_begun_is_cancelled_too(ingress: Ingress) -> None:
    invocation_id = ingress.send("Plain/nap/send?delay=1h", 1)
    ingress.cancel(invocation_id)
    assert ingress.attach(invocation_id).status_code in NEVER_BEGUN


def test_what_waits_for_its_key_is_cancelled_too(ingress: Ingress, name: str) -> None:
    holder = ingress.send(f"Ledger/{name}/holds_until_told/send", name)
    waiting = ingress.send(f"Ledger/{name}/add/send", 1)
    awakeable_id = eventually(lambda: letter(ingress, name), "the awakeable's id")
    ingress.cancel(waiting)
    assert ingress.attach(waiting).status_code in NEVER_BEGUN
    assert ingress.post(f"restate/awakeables/{awakeable_id}/resolve", "now").status_code == 202
    assert ingress.attach(holder).json() == "held until now"
    assert ingress.call(f"Ledger/{name}/add", 2) == 2
