"""A workflow runs once for its key; its promises are completed by its shared handlers, once."""

import re

from tests.conformance.conftest import Ingress
from tests.conformance.waiting import eventually


def begin(ingress: Ingress, name: str) -> str:
    invocation_id = ingress.send(f"Approval/{name}/run/send", "claim")
    eventually(lambda: ingress.call(f"Approval/{name}/state_of")[0], "the workflow's start")
    return invocation_id


def test_a_promise_is_resolved_by_a_shared_handler(ingress: Ingress, name: str) -> None:
    invocation_id = begin(ingress, name)
    assert ingress.call(f"Approval/{name}/state_of") == ["claim", None]
    assert ingress.call(f"Approval/{name}/decide", "yes") == "noted"
    assert ingress.attach(invocation_id).json() == "claim: yes"
    assert ingress.call(f"Approval/{name}/state_of") == ["claim", "yes"]


def test_a_promise_is_rejected(ingress: Ingress, name: str) -> None:
    invocation_id = begin(ingress, name)
    assert ingress.call(f"Approval/{name}/decide", "refuse") == "noted"
    assert re.fullmatch(r"claim: \d+ refused", ingress.attach(invocation_id).json())


def test_a_promise_is_rejected_with_a_code(ingress: Ingress, name: str) -> None:
    invocation_id = begin(ingress, name)
    ingress.call(f"Approval/{name}/decide", "refuse")
    assert ingress.attach(invocation_id).json() == "claim: 402 refused"


def test_a_promise_is_completed_once(ingress: Ingress, name: str) -> None:
    begin(ingress, name)
    assert ingress.call(f"Approval/{name}/decide", "yes") == "noted"
    assert ingress.call(f"Approval/{name}/decide", "no") == "too late: 409"


def test_a_workflow_key_runs_once(ingress: Ingress, name: str) -> None:
    first = begin(ingress, name)
    second = ingress.post(f"Approval/{name}/run/send", "another")
    assert second.status_code == 202
    assert second.json() == {"invocationId": first, "status": "PreviouslyAccepted"}


def test_a_workflow_is_attached_to_by_its_key(ingress: Ingress, name: str) -> None:
    begin(ingress, name)
    output = f"/restate/workflow/Approval/{name}/output"
    assert ingress.http.get(output).status_code == 470
    ingress.call(f"Approval/{name}/decide", "yes")
    assert ingress.http.get(f"/restate/workflow/Approval/{name}/attach").json() == "claim: yes"
    assert ingress.http.get(output).json() == "claim: yes"
