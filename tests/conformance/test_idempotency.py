"""Once for each idempotency key: from outside, from handlers, and while the first still runs."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conformance.conftest import Ingress
from tests.conformance.waiting import eventually


def test_an_idempotency_key_is_done_once(ingress: Ingress, name: str) -> None:
    first = ingress.post(f"Ledger/{name}/add", 4, idempotency_key=name)
    second = ingress.post(f"Ledger/{name}/add", 4, idempotency_key=name)
    assert first.json() == second.json() == 4
    assert first.headers["x-restate-id"] == second.headers["x-restate-id"]
    assert ingress.call(f"Ledger/{name}/total") == 4


def test_an_idempotency_key_joins_what_still_runs(ingress: Ingress, name: str) -> None:
    handler = "Plain/waits_for_awakeable"
    invocation_id = ingress.send(f"{handler}/send", name, idempotency_key=name)
    awakeable_id = eventually(lambda: ingress.call(f"Mailbox/{name}/peek"), "the awakeable's id")
    again = ingress.post(f"{handler}/send", name, idempotency_key=name)
    assert again.json() == {"invocationId": invocation_id, "status": "PreviouslyAccepted"}
    with ThreadPoolExecutor() as calling:
        call = calling.submit(ingress.post, handler, name, idempotency_key=name)
        with pytest.raises(TimeoutError):
            call.result(timeout=0.3)
        assert ingress.post(f"restate/awakeables/{awakeable_id}/resolve", "news").status_code == 202
        answer = call.result()
    assert answer.json() == "got news"
    assert answer.headers["x-restate-id"] == invocation_id


def test_an_idempotency_key_of_a_handlers_call_is_done_once(ingress: Ingress, name: str) -> None:
    assert ingress.call("Plain/calls_with_idempotency_key", name) == [1, 1]
