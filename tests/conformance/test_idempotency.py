"""Once for each idempotency key: from outside, from handlers, and while the first still runs."""

from tests.conformance.conftest import Ingress


def test_an_idempotency_key_is_done_once(ingress: Ingress, name: str) -> None:
    first = ingress.post(f"Ledger/{name}/add", 4, idempotency_key=name)
    second = ingress.post(f"Ledger/{name}/add", 4, idempotency_key=name)
    assert first.json() == second.json() == 4
    assert first.headers["x-restate-id"] == second.headers["x-restate-id"]
    assert ingress.call(f"Ledger/{name}/total") == 4


def test_an_idempotency_key_joins_what_still_runs(ingress: Ingress, name: str) -> None:
    invocation_id = ingress.send("Plain/nap/send", 500, idempotency_key=name)
    answer = ingress.post("Plain/nap", 500, idempotency_key=name)
    assert answer.json() == "slept 500"
    assert answer.headers["x-restate-id"] == invocation_id


def test_an_idempotency_key_of_a_handlers_call_is_done_once(ingress: Ingress, name: str) -> None:
    assert ingress.call("Plain/calls_with_idempotency_key", name) == [1, 1]
