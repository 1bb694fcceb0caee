"""What the ingress answers beyond results: statuses, times, targets. The same words on both engines."""

import re
from datetime import datetime

import httpx
import pytest

from tests.conformance.conftest import Ingress

IN_NANOSECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")


def by_target(ingress: Ingress, act: str, **target: str) -> httpx.Response:
    return ingress.http.post(f"/restate/{act}", json=target)


def test_sends_say_whether_they_were_new_and_when_they_run(ingress: Ingress, name: str) -> None:
    first = ingress.post("Plain/nap/send?delay=1h", 1, idempotency_key=name).json()
    again = ingress.post("Plain/nap/send", 1, idempotency_key=name).json()
    assert first["status"] == "Accepted"
    assert again == {**first, "status": "PreviouslyAccepted"}
    assert IN_NANOSECONDS.fullmatch(first["executionTime"])
    assert "executionTime" not in ingress.post("Plain/nap/send", 1).json()
    assert "executionTime" in ingress.post("Plain/nap/send?delay=0s", 1).json()


@pytest.mark.parametrize("delay", ["PT10S", "P1DT2H", "pt1m", "10s", "60ms", "1h 30m", "1 hour, 5 minutes", "01:30:00"])
def test_delays_that_are_read(ingress: Ingress, delay: str) -> None:
    answer = ingress.http.post("/Plain/nap/send", params={"delay": delay}, json=1)
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize("delay", ["", "-1s", "-PT1S", "P1Y", "1 month", "10M", "10S", "PT", "1s ago", "9" * 20 + "s"])
def test_delays_that_are_refused(ingress: Ingress, delay: str) -> None:
    # A number alone is refused by the real server only: the official Python client sends milliseconds so.
    answer = ingress.http.post("/Plain/nap/send", params={"delay": delay}, json=1)
    assert (answer.status_code, answer.json()["source"]) == (400, "ingress")
    assert answer.json()["message"].startswith("bad delay")


def test_a_call_cannot_be_delayed(ingress: Ingress) -> None:
    assert ingress.post("Plain/nap?delay=1s", 1).status_code == 400


def test_results_are_had_by_target(ingress: Ingress, name: str) -> None:
    called = ingress.post(f"Ledger/{name}/add", 4, idempotency_key=name)
    target = {"target": "idempotentInvocation", "service": "Ledger", "key": name, "handler": "add"}
    target["idempotencyKey"] = name
    assert by_target(ingress, "lookup", **target).json() == {"invocationId": called.headers["x-restate-id"]}
    for act in ("attach", "output"):
        answer = by_target(ingress, act, **target)
        assert answer.json() == 4
        assert datetime.fromisoformat(answer.headers["idempotency-expires"]).tzinfo is not None
    assert by_target(ingress, "output", **{**target, "idempotencyKey": "other"}).status_code == 404
    by_id = {"target": "invocation", "invocationId": called.headers["x-restate-id"]}
    assert by_target(ingress, "attach", **by_id).json() == 4
    assert by_target(ingress, "lookup", target="invocation", invocationId="inv_1foo").status_code == 400


def test_a_workflow_that_runs_has_no_output_yet(ingress: Ingress, name: str) -> None:
    sent = ingress.send(f"Approval/{name}/run/send?delay=1h", "a claim")
    target = {"target": "workflow", "workflowName": "Approval", "workflowKey": name}
    assert by_target(ingress, "lookup", **target).json() == {"invocationId": sent}
    not_ready = by_target(ingress, "output", **target)
    assert (not_ready.status_code, not_ready.json()["code"]) == (470, 470)
    assert not_ready.headers["x-restate-error-source"] == "ingress"
    again = ingress.post(f"Approval/{name}/run", "a claim")
    assert (again.status_code, again.headers["x-restate-id"]) == (409, sent)
    assert again.headers["x-restate-error-source"] == "invocation"
    assert ingress.post(f"Approval/{name}/run", "a claim", idempotency_key="k").status_code == 400


def test_a_repeated_keyed_call_says_how_long_its_result_is_kept(ingress: Ingress, name: str) -> None:
    for _ in range(2):
        answer = ingress.post("Plain/echo", name, idempotency_key=name)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", answer.headers["idempotency-expires"])


def test_a_limit_key_needs_a_scope(ingress: Ingress) -> None:
    assert ingress.post("Plain/echo?limit-key=a", "x").status_code == 400
    assert ingress.post("restate/scope/a%20b/call/Plain/echo", "x").status_code == 400


def test_methods_and_unknown_names(ingress: Ingress) -> None:
    assert ingress.http.put("/Plain/echo").status_code == 405
    assert ingress.http.get("/restate/lookup").status_code == 405
    assert ingress.http.post("/Plain/absent").status_code == 404
    assert ingress.http.post("/Absent/echo").status_code == 404
    assert ingress.http.get("/restate/workflow/Approval/never/output").status_code == 404
