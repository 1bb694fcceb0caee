"""The official Python SDK's client: each thing that it can ask of an ingress."""

import json
import os
import subprocess
from typing import Any, Protocol

import pytest

from tests.conformance.processes import PEERS_PYTHON, ROOT, EngineAddress


class Scenario(Protocol):
    def __call__(self, scenario: str) -> Any: ...


def runner(engine: EngineAddress, key: str) -> Scenario:
    def run(scenario: str) -> Any:
        done = subprocess.run(
            [PEERS_PYTHON, "-m", "tests.peers.python_client", scenario, engine.ingress_url, key],
            env={**os.environ, "CONFORMANCE_SDK": "restate", "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
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
    assert client("calls") == ["hello", 3, "7"]


def test_headers_reach_the_handler(client: Scenario) -> None:
    assert client("headers") == {"x-test-tenant": "blue"}


def test_a_final_error_is_the_clients(client: Scenario) -> None:
    assert client("final_error") == [418, "no, and that is final"]


def test_an_idempotency_key_is_done_once(client: Scenario) -> None:
    assert client("idempotent_calls") == [5, 5]


def test_sends(client: Scenario) -> None:
    assert client("sends") == {"same": True, "total": 6}


def test_a_workflow_is_sent(client: Scenario) -> None:
    assert client("workflow") == ["inv_", "noted"]


def test_a_workflow_is_called(client: Scenario) -> None:
    assert client("workflow_call") == "claim: yes"


def test_a_scope_has_its_own_objects(client_of_ours: Scenario) -> None:
    assert client_of_ours("scopes") == [1, 10, "20", 1, "scoped"]


def test_a_scope_has_its_own_sends(client_of_ours: Scenario) -> None:
    assert client_of_ours("scoped_sends") == {"moved": 10, "service": "inv_", "different": True, "unscoped": None}


def test_delayed_sends(client_of_ours: Scenario) -> None:
    """The client writes milliseconds without their unit, which its own server refuses."""
    assert client_of_ours("delayed_sends") is True
