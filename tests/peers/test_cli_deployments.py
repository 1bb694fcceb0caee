"""`restate whoami` and `restate deployments`."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.conformance.conftest import Ingress
from tests.conformance.processes import EngineAddress
from tests.peers.cli import Cli, fields, row_of

SERVICES = {"Plain", "Ledger", "LazyLedger", "Mailbox", "Approval"}


@pytest.fixture
def twin(endpoint: str) -> str:
    """Another address of the same endpoint: another deployment, to an engine."""
    return endpoint.replace("127.0.0.1", "localhost")


def deployment_id(engine: EngineAddress, uri: str) -> str:
    listed = httpx.get(f"{engine.admin_url}/deployments", trust_env=False).json()["deployments"]
    return next(each["id"] for each in listed if each["uri"].rstrip("/") == uri)


@contextmanager
def registered(cli: Cli, engine: EngineAddress, uri: str, *options: str) -> Iterator[str]:
    cli("deployments", "register", uri, *options)
    id = deployment_id(engine, uri)
    try:
        yield id
    finally:
        cli("deployments", "remove", "--force", id)


def test_whoami_finds_the_engine_healthy(cli: Cli, engine: EngineAddress) -> None:
    text = cli("whoami")
    assert f"Admin Service '{engine.admin_url}/' is healthy!" in text
    assert fields(text)["Advertised ingress address"].rstrip("/") == engine.ingress_url


def test_deployments_are_listed(cli: Cli, engine: EngineAddress, endpoint: str) -> None:
    text = cli("deployments", "list")
    row = row_of(text, deployment_id(engine, endpoint))
    assert row[:2] == [f"{endpoint}/", "HTTP"]
    assert all(f"- {service} [" in text for service in SERVICES)


def test_deployments_are_listed_with_what_still_runs_on_them(cli: Cli, engine: EngineAddress, endpoint: str) -> None:
    row = row_of(cli("deployments", "list", "--extra"), deployment_id(engine, endpoint))
    assert row[:3] == [f"{endpoint}/", "HTTP", "Active"]
    assert row[3].isdecimal()


def test_a_deployment_is_described(cli: Cli, engine: EngineAddress, endpoint: str) -> None:
    text = cli("deployments", "describe", deployment_id(engine, endpoint))
    described = fields(text)
    assert described["ID"] == deployment_id(engine, endpoint)
    assert described["Endpoint"] == f"{endpoint}/"
    assert described["Transport"] == "HTTP/2.0"
    assert described["Protocol Style"] == "Bidirectional Stream"
    assert described["SDK Version"].startswith("restate-sdk-python/")
    assert all(f"- {service}\n" in text for service in SERVICES)
    assert row_of(text, "add_slowly") == ["add_slowly", "JSON integer", "JSON integer"]


def test_a_deployment_is_described_with_what_still_runs_on_it(
    cli: Cli, engine: EngineAddress, endpoint: str, ingress: Ingress
) -> None:
    invocation_id = ingress.send("Plain/nap/send", 600_000)
    text = cli("deployments", "describe", "--extra", deployment_id(engine, endpoint))
    assert fields(text)["Status"] == "Active"
    assert int(fields(text)["Invocations"]) > 0
    assert int(row_of(text, "nap")[3]) > 0
    ingress.cancel(invocation_id)


def test_what_is_not_there_is_not_described(cli: Cli) -> None:
    said = cli.refused("deployments", "describe", "dp_13oDtzOZznJ0K1Qy0p2tRkZ")
    assert "404" in said
    assert "dp_13oDtzOZznJ0K1Qy0p2tRkZ" in said


def test_registering_again_changes_nothing(cli: Cli, engine: EngineAddress, endpoint: str) -> None:
    text = cli("deployments", "register", endpoint)
    assert f"Deployment already exists with id {deployment_id(engine, endpoint)}" in text


def test_registering_with_force_replaces_what_is_there(cli: Cli, engine: EngineAddress, twin: str) -> None:
    with registered(cli, engine, twin) as id:
        text = cli("deployments", "register", "--force", "--extra-header", "x-tenant=blue", twin)
        assert "SERVICES THAT WILL BE UPDATED" in text
        assert fields(cli("deployments", "describe", id))["Deployment Additional Header"] == "x-tenant: blue"


def test_an_endpoint_that_is_not_there_is_not_registered(cli: Cli) -> None:
    assert "META0003" in cli.refused("deployments", "register", "http://127.0.0.1:9")


def test_a_deployment_is_registered_takes_over_and_is_removed(
    cli: Cli, engine: EngineAddress, endpoint: str, twin: str
) -> None:
    before = deployment_id(engine, endpoint)
    with registered(cli, engine, twin) as id:
        text = cli("deployments", "list", "--extra")
        assert row_of(text, id)[2] == "Active"
        assert row_of(text, before)[2] in {"Draining", "Drained"}
    assert id not in cli("deployments", "list")
    assert row_of(cli("deployments", "list", "--extra"), before)[2] == "Active"


def test_headers_and_metadata_are_kept_with_a_deployment(cli: Cli, engine: EngineAddress, twin: str) -> None:
    options = ("--extra-header", "x-tenant=blue", "--metadata", "build=7", "--use-http1.1")
    with registered(cli, engine, twin, *options) as id:
        described = fields(cli("deployments", "describe", id))
    assert described["Deployment Additional Header"] == "x-tenant: blue"
    assert described["build"] == "7"
    assert described["Transport"] == "HTTP/1.1"


def test_a_deployment_that_serves_is_removed_only_by_force(cli: Cli, engine: EngineAddress, endpoint: str) -> None:
    assert "Deployment is still Active" in cli.refused("deployments", "remove", deployment_id(engine, endpoint))
