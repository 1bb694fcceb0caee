"""The official Python SDK's client: each thing that it can ask of an ingress."""

import pytest

from tests.conformance.processes import PEERS_PYTHON, ROOT, EngineAddress
from tests.peers.scenarios import Client


def start(engine: EngineAddress, key: str) -> Client:
    environment = {"CONFORMANCE_SDK": "restate", "PYTHONPATH": str(ROOT)}
    return Client([PEERS_PYTHON, "-m", "tests.peers.python_client"], environment, engine, key)


@pytest.fixture
def client(engine: EngineAddress, name: str) -> Client:
    return start(engine, name)


@pytest.fixture
def client_of_ours(ours: EngineAddress, name: str) -> Client:
    return start(ours, name)


def test_calls_to_services_and_objects(client: Client) -> None:
    assert client("calls") == ["hello", 3, "7"]


def test_headers_reach_the_handler(client: Client) -> None:
    assert client("headers") == {"x-test-tenant": "blue"}


def test_a_final_error_is_the_clients(client: Client) -> None:
    assert client("final_error") == [418, "no, and that is final"]


def test_an_idempotency_key_is_done_once(client: Client) -> None:
    assert client("idempotent_calls") == [5, 5]


def test_sends(client: Client) -> None:
    assert client("sends") == {"same": True, "total": 6}


def test_a_workflow_is_sent(client: Client) -> None:
    assert client("workflow") == ["inv_", "noted"]


def test_a_workflow_is_called(client: Client) -> None:
    assert client("workflow_call") == "claim: yes"


def test_a_scope_has_its_own_objects(client_of_ours: Client) -> None:
    assert client_of_ours("scopes") == [1, 10, "20", 1, "scoped"]


def test_a_scope_has_its_own_sends(client_of_ours: Client) -> None:
    assert client_of_ours("scoped_sends") == {"moved": 10, "service": "inv_", "different": True, "unscoped": None}


def test_delayed_sends(client_of_ours: Client) -> None:
    """The client writes milliseconds without their unit, which its own server refuses."""
    assert client_of_ours("delayed_sends") is True
