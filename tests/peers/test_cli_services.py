"""`restate services`."""

import pytest

from tests.conformance.conftest import Ingress
from tests.conformance.waiting import eventually
from tests.peers.cli import Cli, fields, row_of


def test_services_are_listed(cli: Cli) -> None:
    text = cli("services", "list")
    assert {"virtual", "object"} <= set(" ".join(row_of(text, "Ledger")).split())
    assert "workflow" in row_of(text, "Approval")
    assert "HTTP" in row_of(text, "Plain")


def test_public_services_are_listed_with_their_handlers(cli: Cli) -> None:
    text = cli("services", "list", "--public-only", "--extra")
    assert all(handler in text for handler in ("add_slowly", "state_of", "calls_what_fails"))


def test_a_service_is_described(cli: Cli) -> None:
    text = cli("services", "describe", "Ledger")
    described = fields(text)
    assert described["Name"] == "Ledger"
    assert described["Service type"] == "VirtualObject"
    assert described["Public"] == "true"
    assert described["Deployment ID"].startswith("dp_")
    assert row_of(text, "add") == ["add", "JSON integer", "JSON integer"]
    assert row_of(text, "total") == ["total", "none", "JSON integer"]


def test_a_service_that_is_not_there_is_not_described(cli: Cli) -> None:
    assert "404" in cli.refused("services", "describe", "Nobody")


def test_status_counts_what_runs_and_waits_and_names_who_holds_a_key(cli: Cli, ingress: Ingress, name: str) -> None:
    ingress.send(f"Ledger/{name}/holds/send", 600_000)
    ingress.send(f"Ledger/{name}/add/send", 1)
    ingress.send(f"Ledger/{name}/add/send?delay=1h", 1)
    text = eventually(lambda: _with_key(cli("services", "status", "Ledger"), name), "the key in the status")
    assert row_of(text, name)[1] == "1"  # one waits for it
    header = row_of(text, "PENDING")
    pending, scheduled = (1 + header.index(column) for column in ("PENDING", "SCHEDULED"))
    assert int(row_of(text, "add")[pending]) > 0
    assert int(row_of(text, "add")[scheduled]) > 0
    assert "Ledger" in cli("services", "status")
    cli("invocations", "kill", f"Ledger/{name}")


def _with_key(text: str, key: str) -> str | None:
    return text if key in text.partition("Recent Invocations")[0] else None


def test_the_configuration_is_shown(cli: Cli) -> None:
    shown = fields(cli("services", "config", "view", "Approval"))
    assert shown["Service type"] == "Workflow"
    assert shown["Public"] == "true"
    assert shown["Workflow retention time"] == "1d"
    assert shown["Inactivity timeout"] == "1m"


@pytest.mark.parametrize(
    ("option", "shown_as", "value", "before"),
    [
        ("--public", "Public", "false", "true"),
        ("--idempotency-retention", "Idempotent requests retention", "2d", "1d"),
        ("--journal-retention", "Journal retention", "3h", "1d"),
        ("--inactivity-timeout", "Inactivity timeout", "30s", "1m"),
        ("--abort-timeout", "Abort timeout", "5m", "10m"),
    ],
)
def test_the_configuration_is_patched(cli: Cli, option: str, shown_as: str, value: str, before: str) -> None:
    cli("services", "config", "patch", "LazyLedger", option, value)
    patched = fields(cli("services", "config", "view", "LazyLedger"))
    cli("services", "config", "patch", "LazyLedger", option, before)
    assert patched[shown_as] == value
    assert fields(cli("services", "config", "view", "LazyLedger"))[shown_as] == before


def test_the_retention_of_workflows_is_patched(cli: Cli) -> None:
    cli("services", "config", "patch", "Approval", "--workflow-completion-retention", "2d")
    patched = fields(cli("services", "config", "view", "Approval"))
    cli("services", "config", "patch", "Approval", "--workflow-completion-retention", "1d")
    assert patched["Workflow retention time"] == "2d"
