"""`restate kv`: state is read, patched at a version, and cleared."""

import json

import pytest

from tests.conformance.conftest import Ingress
from tests.conformance.waiting import eventually
from tests.peers.cli import Cli, row_of


@pytest.fixture
def key(ingress: Ingress, name: str) -> str:
    """A ledger that has 3 in it."""
    ingress.call(f"Ledger/{name}/add", 3)
    return name


def test_state_is_shown(cli: Cli, key: str) -> None:
    assert row_of(cli("kv", "get", "Ledger", key), "total") == ["total", "3"]
    assert json.loads(cli("kv", "get", "--plain", "Ledger", key)) == {"total": 3}
    assert row_of(cli("kv", "get", "--binary", "Ledger", key), "total") == ["total", '"Mw=="']


def test_a_key_without_state_has_none(cli: Cli, name: str) -> None:
    assert json.loads(cli("kv", "get", "--plain", "Ledger", name)) == {}


def test_state_is_patched_at_the_version_that_was_read(cli: Cli, ingress: Ingress, key: str) -> None:
    cli("kv", "patch", "Ledger", key, "--patch", '[{"op": "replace", "path": "/total", "value": 9}]')
    eventually(lambda: ingress.call(f"Ledger/{key}/total") == 9 or None, "the patched state")


def test_state_is_patched_by_force(cli: Cli, ingress: Ingress, key: str) -> None:
    patch = '[{"op": "add", "path": "/note", "value": {"by": ["ops"]}}, {"op": "remove", "path": "/total"}]'
    cli("kv", "patch", "--force", "Ledger", key, "--patch", patch)
    wanted = {"note": {"by": ["ops"]}}
    eventually(lambda: json.loads(cli("kv", "get", "--plain", "Ledger", key)) == wanted or None, "the patched state")
    assert ingress.call(f"Ledger/{key}/total") is None


def test_a_patch_waits_for_the_key(cli: Cli, ingress: Ingress, key: str) -> None:
    holder = ingress.send(f"Ledger/{key}/holds/send", 600_000)
    cli("kv", "patch", "Ledger", key, "--patch", '[{"op": "replace", "path": "/total", "value": 20}]')
    assert ingress.call(f"Ledger/{key}/total") == 3
    ingress.cancel(holder)
    assert ingress.call(f"Ledger/{key}/add", 1) == 21


def test_state_is_cleared(cli: Cli, ingress: Ingress, key: str) -> None:
    cli("kv", "clear", f"Ledger/{key}")
    eventually(lambda: ingress.call(f"Ledger/{key}/total") is None or None, "the cleared state")
    assert "No state found" in cli.refused("kv", "clear", f"Ledger/{key}")


def test_the_state_of_all_keys_is_cleared(cli: Cli, ingress: Ingress, name: str) -> None:
    keys = [f"{name}-{n}" for n in range(2)]
    for key in keys:
        ingress.call(f"Mailbox/{key}/put", "a letter")
    cli("kv", "clear", "--force", "Mailbox")
    for key in keys:
        eventually(lambda key=key: ingress.call(f"Mailbox/{key}/peek") is None or None, f"the cleared state of {key}")
