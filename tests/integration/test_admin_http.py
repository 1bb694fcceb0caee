"""The admin port over real sockets."""

from collections.abc import AsyncIterator

import httpx
import pytest

from perdure.protocol.ids import new_invocation_id
from perdure.version import __version__
from tests.integration.server_fixtures import Served, serve
from tests.unit.server.fake_engine import FakeEngine


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serve(FakeEngine()) as served:
        yield served


def assert_refused(response: httpx.Response, status: int, *says: str, restate_code: str | None = None) -> None:
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"message", "restate_code"}
    assert body["restate_code"] == restate_code
    for words in says:
        assert words in body["message"]


async def test_a_new_deployment_is_created_and_the_same_again_exists(served: Served) -> None:
    created = await served.admin.post("/deployments", json={"uri": "http://second:9080", "metadata": {"git": "abc"}})
    again = await served.admin.post("/deployments", json={"uri": "http://second:9080", "force": True})
    assert (created.status_code, again.status_code) == (201, 200)
    body = created.json()
    assert created.headers["location"] == f"/deployments/{body['id']}"
    assert again.json()["id"] == body["id"]
    assert {service["name"] for service in body["services"]} == {"Cart", "Echo", "MultiAgentClaimApproval", "Signup"}
    assert (body["min_protocol_version"], body["max_protocol_version"]) == (5, 7)
    assert (await served.admin.get(f"/deployments/{body['id']}")).json()["uri"] == "http://second:9080/"


async def test_a_dry_run_changes_nothing(served: Served) -> None:
    answer = await served.admin.post("/deployments", json={"uri": "http://second:9080", "dry_run": True})
    assert answer.status_code == 201
    assert len((await served.admin.get("/deployments")).json()["deployments"]) == 1


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"uri": "http://x:1",', "not JSON"),
        (b'{"uri": "http://x:1"', "not JSON"),
        (b"{}", "missing required field `uri`"),
        (b'{"uri": 7}', "$.uri"),
        (b'{"uri": "http://x:9", "forse": true}', "forse"),
        (b'{"uri": "\xff"}', "UTF-8"),
        (b"[" * 100_000, "got `array`"),
        (b'{"uri": "ftp://x"}', "ftp://x"),
    ],
)
async def test_a_registration_that_makes_no_sense_says_what_is_wrong(served: Served, body: bytes, says: str) -> None:
    headers = {"content-type": "application/json"}
    assert_refused(await served.admin.post("/deployments", content=body, headers=headers), 400, says)


async def test_an_endpoint_that_cannot_be_reached_has_the_open_interfaces_code(served: Served) -> None:
    answer = await served.admin.post("/deployments", json={"uri": "http://x:1"})
    assert_refused(answer, 500, "http://x:1", restate_code="META0003")


async def test_a_body_that_a_web_page_could_send_unasked_is_refused(served: Served) -> None:
    answer = await served.admin.post(
        "/deployments", content=b'{"uri":"http://x:9"}', headers={"content-type": "text/plain"}
    )
    assert_refused(answer, 415, "application/json")


async def test_a_huge_body_is_refused(served: Served) -> None:
    headers = {"content-type": "application/json"}
    assert_refused(await served.admin.post("/deployments", content=b" " * (2 << 20), headers=headers), 413)


async def test_services_and_handlers_are_listed(served: Served) -> None:
    services = (await served.admin.get("/services")).json()["services"]
    assert [service["name"] for service in services] == ["Cart", "Echo", "MultiAgentClaimApproval", "Signup"]
    assert (await served.admin.get("/services/Cart")).json()["ty"] == "VirtualObject"
    handlers = (await served.admin.get("/services/Cart/handlers")).json()["handlers"]
    assert [handler["name"] for handler in handlers] == ["add", "send", "peek"]
    assert (await served.admin.get("/services/Cart/handlers/peek")).json()["ty"] == "Shared"


async def test_an_invocation_is_shown_and_acted_on(served: Served) -> None:
    running = (await served.ingress.post("/Echo/echo/send")).json()["invocationId"]
    shown = (await served.admin.get(f"/invocations/{running}")).json()
    assert shown["id"] == running
    assert shown["status"] == "running"
    for act, status in (("cancel", 202), ("kill", 200), ("resume", 200)):
        assert (await served.admin.patch(f"/invocations/{running}/{act}")).status_code == status
    assert served.engine.told == [("cancel", running), ("kill", running), ("resume", running)]


async def test_what_has_ended_or_never_was_cannot_be_acted_on(served: Served) -> None:
    ended = (await served.ingress.post("/Echo/echo")).headers["x-restate-id"]
    assert_refused(await served.admin.patch(f"/invocations/{ended}/kill"), 409, "ended already")
    assert_refused(
        await served.admin.patch(f"/invocations/{new_invocation_id()}/cancel"),
        404,
        "no invocation",
        "it never was, or was purged",
    )
    assert_refused(await served.admin.patch("/invocations/foo/cancel"), 400, "not an invocation id")


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("GET", "/deployments/dp_absent", 404, "no deployment dp_absent"),
        ("GET", "/services/Absent", 404, "Absent"),
        ("GET", "/services/Cart/handlers/peak", 404, "Cart/peek"),
        ("GET", "/nothing", 404, "/deployments"),
        ("DELETE", "/health", 405, "DELETE"),
        ("GET", "/invocations/foo", 400, "not an invocation id"),
    ],
)
async def test_what_is_not_there_is_said(served: Served, method: str, path: str, status: int, says: str) -> None:
    assert_refused(await served.admin.request(method, path), status, says)


async def test_health_is_good_once_the_engine_is_ready(served: Served) -> None:
    assert (await served.admin.get("/health")).status_code == 200
    served.engine.started = False
    assert_refused(await served.admin.get("/health"), 503, "starting")


async def test_version_names_the_ingress(served: Served) -> None:
    body = (await served.admin.get("/version")).json()
    assert body["version"] == __version__
    assert body["ingress_endpoint"] == served.server.ingress_url
    assert body["min_admin_api_version"] <= body["max_admin_api_version"]
    assert body["features"] == {}


@pytest.mark.parametrize("prefix", ["/v2", "/v3", "/v4"])
async def test_paths_may_begin_with_a_version_of_the_interface(served: Served, prefix: str) -> None:
    assert (await served.admin.get(f"{prefix}/health")).status_code == 200
    assert (await served.admin.get(f"{prefix}/services/Cart")).json()["name"] == "Cart"
    assert_refused(await served.admin.get("/v9/health"), 404, "no /v9/health")


async def test_the_port_describes_itself(served: Served) -> None:
    document = (await served.admin.get("/openapi")).json()
    assert document["openapi"].startswith("3.1")
    assert {"/deployments", "/services/{service}", "/invocations/{invocation_id}/cancel"} <= set(document["paths"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/services?x=1"),
        ("GET", "/health?x=1"),
        ("GET", "/invocations/{id}?x=1"),
        ("PATCH", "/invocations/{id}/kill?deployment=latest"),
        ("PATCH", "/invocations/{id}/pause?kill_after=1s"),
        ("PATCH", "/invocations/{id}/cancel?killafter=1s"),
    ],
)
async def test_a_parameter_that_means_nothing_is_refused(served: Served, method: str, path: str) -> None:
    answer = await served.admin.request(method, path.format(id=new_invocation_id()))
    wrong = path.partition("?")[2].partition("=")[0]
    assert_refused(answer, 400, f"'{wrong}'")
