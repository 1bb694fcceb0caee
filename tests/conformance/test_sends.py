"""One-way calls from handlers and from outside: now and later."""

import time

from tests.conformance.conftest import Ingress
from tests.conformance.waiting import eventually


def total(ingress: Ingress, key: str) -> int | None:
    return ingress.call(f"Ledger/{key}/total")


def test_a_send_is_done_in_the_background(ingress: Ingress, name: str) -> None:
    invocation_id = ingress.call("Plain/sends", name)
    assert ingress.attach(invocation_id).json() == 5
    assert total(ingress, name) == 5


def test_a_delayed_send_waits(ingress: Ingress, name: str) -> None:
    begun = time.monotonic()
    ingress.call("Plain/sends_later", name)
    assert eventually(lambda: total(ingress, name), "the delayed send") == 7
    assert time.monotonic() - begun >= 0.3


def test_a_send_from_outside_can_be_attached_to(ingress: Ingress) -> None:
    invocation_id = ingress.send("Plain/nap/send", 100)
    assert ingress.attach(invocation_id).json() == "slept 100"
    assert ingress.attach(invocation_id).json() == "slept 100"


def test_a_delayed_send_from_outside_waits(ingress: Ingress, name: str) -> None:
    begun = time.monotonic()
    invocation_id = ingress.send(f"Ledger/{name}/add/send?delay=300ms", 3)
    assert ingress.attach(invocation_id).json() == 3
    assert time.monotonic() - begun >= 0.3


def test_the_newer_paths_mean_the_same(ingress: Ingress, name: str) -> None:
    assert ingress.call("restate/call/Plain/echo", "x") == "x"
    assert ingress.attach(ingress.send(f"restate/send/Ledger/{name}/add", 2)).json() == 2


def test_a_handler_attaches_to_what_it_sent(ingress: Ingress) -> None:
    assert ingress.call("Plain/attaches", 50) == "slept 50"


def test_a_send_by_name_reaches_its_object(ingress: Ingress, name: str) -> None:
    assert ingress.attach(ingress.call("Plain/sends_by_name", name)).json() == 6
