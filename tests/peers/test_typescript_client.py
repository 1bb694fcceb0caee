"""The TypeScript client (`@restatedev/restate-sdk-clients`): each thing that it can ask of an ingress."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.conformance.processes import NPM_MODULES, EngineAddress

SCRIPT = Path(__file__).with_name("typescript_client.cjs")


class Scenario(Protocol):
    def __call__(self, scenario: str) -> Any: ...


def runner(engine: EngineAddress, key: str) -> Scenario:
    def run(scenario: str) -> Any:
        done = subprocess.run(
            ["node", SCRIPT, scenario, engine.ingress_url, key],
            env={**os.environ, "NODE_PATH": str(NPM_MODULES)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def client(engine: EngineAddress, name: str) -> Scenario:
    return runner(engine, name)


@pytest.fixture
def client_of_ours(ours: EngineAddress, name: str) -> Scenario:
    return runner(ours, name)


def test_calls_to_services_and_objects(client: Scenario) -> None:
    assert client("calls") == ["hello", 3, 3]


def test_a_call_by_name(client: Scenario) -> None:
    assert client("genericCall") == 4


def test_headers_reach_the_handler(client: Scenario) -> None:
    assert client("headers") == {"x-test-tenant": "blue"}


def test_a_final_error_is_the_clients(client: Scenario) -> None:
    error = client("finalError")
    assert error["status"] == error["code"] == 418
    assert error["message"] == "no, and that is final"


def test_an_unknown_handler_is_refused(client: Scenario) -> None:
    assert client("unknownHandler")["status"] == 404


def test_an_idempotency_key_is_done_once(client: Scenario) -> None:
    assert client("idempotentCall") == [5, 5, 5]


def test_a_send_is_attached_to(client: Scenario) -> None:
    assert client("sends") == {"statuses": ["Accepted", "PreviouslyAccepted"], "same": True, "result": 6}


def test_a_send_by_name(client: Scenario) -> None:
    assert client("genericSend") == "slept 20"


def test_a_delayed_send_waits(client: Scenario) -> None:
    assert client("delayedSend") == {"result": 7, "waited": True}


def test_a_workflow_is_submitted_and_attached_to(client: Scenario) -> None:
    assert client("workflow") == {
        "statuses": ["Accepted", "PreviouslyAccepted"],
        "same": True,
        "early": False,
        "decided": "noted",
        "attached": "claim: yes",
        "late": {"ready": True, "result": "claim: yes"},
        "result": "claim: yes",
    }


def test_an_awakeable_is_resolved(client: Scenario) -> None:
    assert client("awakeableResolved") == "got news"


def test_an_awakeable_is_rejected(client: Scenario) -> None:
    assert client("awakeableRejected") == "500 no news"


def test_a_call_is_given_up_after_its_timeout(client: Scenario) -> None:
    assert client("timeout") == "TimeoutError"


def test_a_scope_has_its_own_objects(client_of_ours: Scenario) -> None:
    assert client_of_ours("scopes") == [1, 10, 20, 20, 1]


def test_a_scope_has_its_own_idempotency_keys_and_workflows(client_of_ours: Scenario) -> None:
    assert client_of_ours("scopedSends") == {
        "different": True,
        "result": "slept 5",
        "submitted": "Accepted",
        "elsewhere": "Accepted",
    }


def test_a_limit_key_needs_a_scope(client: Scenario) -> None:
    assert client("limitKeyWithoutScope")["status"] == 400
