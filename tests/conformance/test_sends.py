"""One-way calls from handlers and from outside: now, later, and once for each idempotency key."""

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


def test_an_idempotency_key_is_done_once(ingress: Ingress, name: str) -> None:
    first = ingress.post(f"Ledger/{name}/add", 4, idempotency_key=name)
    second = ingress.post(f"Ledger/{name}/add", 4, idempotency_key=name)
    assert first.json() == second.json() == 4
    assert first.headers["x-restate-id"] == second.headers["x-restate-id"]
    assert total(ingress, name) == 4


def test_an_idempotency_key_joins_what_still_runs(ingress: Ingress, name: str) -> None:
    invocation_id = ingress.send("Plain/nap/send", 500, idempotency_key=name)
    answer = ingress.post("Plain/nap", 500, idempotency_key=name)
    assert answer.json() == "slept 500"
    assert answer.headers["x-restate-id"] == invocation_id


def test_an_idempotency_key_of_a_handlers_call_is_done_once(ingress: Ingress, name: str) -> None:
    assert ingress.call("Plain/calls_with_idempotency_key", name) == [1, 1]
