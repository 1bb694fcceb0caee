"""The TypeScript client (`@restatedev/restate-sdk-clients`): each thing that it can ask of an ingress."""

from pathlib import Path

import pytest

from tests.conformance.processes import NPM_MODULES, EngineAddress
from tests.peers.scenarios import Client


def start(engine: EngineAddress, key: str) -> Client:
    return Client(
        ["node", Path(__file__).with_name("typescript_client.cjs")], {"NODE_PATH": str(NPM_MODULES)}, engine, key
    )


@pytest.fixture
def client(engine: EngineAddress, name: str) -> Client:
    return start(engine, name)


@pytest.fixture
def client_of_ours(ours: EngineAddress, name: str) -> Client:
    return start(ours, name)


def test_calls_to_services_and_objects(client: Client) -> None:
    assert client("calls") == ["hello", 3, 3]


def test_a_call_by_name(client: Client) -> None:
    assert client("genericCall") == 4


def test_headers_reach_the_handler(client: Client) -> None:
    assert client("headers") == {"x-test-tenant": "blue"}


def test_a_final_error_is_the_clients(client: Client) -> None:
    error = client("finalError")
    assert error["status"] == error["code"] == 418
    assert error["message"] == "no, and that is final"


def test_an_unknown_handler_is_refused(client: Client) -> None:
    assert client("unknownHandler")["status"] == 404


def test_an_idempotency_key_is_done_once(client: Client) -> None:
    assert client("idempotentCall") == [5, 5, 5]


def test_a_send_is_attached_to(client: Client) -> None:
    assert client("sends") == {"statuses": ["Accepted", "PreviouslyAccepted"], "same": True, "result": 6}


def test_a_send_by_name(client: Client) -> None:
    assert client("genericSend") == "slept 20"


def test_a_delayed_send_waits(client: Client) -> None:
    assert client("delayedSend") == {"result": 7, "waited": True}


def test_a_workflow_is_submitted_and_attached_to(client: Client) -> None:
    assert client("workflow") == {
        "statuses": ["Accepted", "PreviouslyAccepted"],
        "same": True,
        "early": False,
        "decided": "noted",
        "attached": "claim: yes",
        "late": {"ready": True, "result": "claim: yes"},
        "result": "claim: yes",
    }


def test_an_awakeable_is_resolved(client: Client) -> None:
    assert client("awakeableResolved") == "got news"


def test_an_awakeable_is_rejected(client: Client) -> None:
    assert client("awakeableRejected") == "500 no news"


def test_a_call_is_given_up_after_its_timeout(client: Client) -> None:
    assert client("timeout") == "TimeoutError"


def test_a_scope_has_its_own_objects(client_of_ours: Client) -> None:
    assert client_of_ours("scopes") == [1, 10, 20, 20, 1]


def test_a_scope_has_its_own_idempotency_keys_and_workflows(client_of_ours: Client) -> None:
    assert client_of_ours("scopedSends") == {
        "different": True,
        "result": "slept 5",
        "submitted": "Accepted",
        "elsewhere": "Accepted",
    }


def test_a_limit_key_needs_a_scope(client: Client) -> None:
    assert client("limitKeyWithoutScope")["status"] == 400
