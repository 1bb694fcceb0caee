"""Versions of a service, with the real engine and real endpoints: which one takes a call, and what is left on each."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import perdure
from perdure.cli.http2_server import Http2Server
from perdure.engine.config import EngineConfig
from perdure.engine.engine import Engine
from perdure.sdk.service import Service
from perdure.server.app import HttpServer, ServerConfig
from perdure.server.sockets import bind, url_of

Serve = Callable[[Service], Awaitable[str]]


def version(number: int, *, wave: bool = False) -> Service:
    """Greeter as it is in this version: `greet` says which one answers, `wait` waits to be told to go on."""
    greeter = perdure.Service("Greeter", metadata={"version": str(number)}, inactivity_timeout=timedelta(0))

    @greeter.handler()
    async def greet(ctx: perdure.Context, name: str) -> str:
        return f"v{number} greets {name}"

    @greeter.handler()
    async def wait(ctx: perdure.Context) -> str:
        await ctx.signal("go", type_hint=str)
        return f"v{number} waited"

    if wave:

        @greeter.handler("wave")
        async def _(ctx: perdure.Context) -> str:
            return f"v{number} waves"

    return greeter


def asking_again(for_s: float = 60.0) -> Iterator[None]:
    """Ends when it is too late to ask once more: what was waited for has not come."""
    deadline = time.monotonic() + for_s
    while time.monotonic() < deadline:
        yield


class Ports:
    """A running engine's two ports, in the words of these tests."""

    def __init__(self, engine: Engine, ingress: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
        self.engine = engine
        self.ingress = ingress
        self.admin = admin

    async def register(self, url: str, **options: object) -> str:
        answer = await self.admin.post("/deployments", json={"uri": url, **options})
        assert answer.is_success, answer.text
        return answer.json()["id"]

    async def greet(self) -> str:
        answer = await self.ingress.post("/Greeter/greet", json="you")
        return answer.json() if answer.is_success else f"{answer.status_code} {answer.json()['message']}"

    async def wait(self) -> str:
        """Begins an invocation that waits; returns once it is suspended, so that the store knows where it is."""
        sent = (await self.ingress.post("/Greeter/wait/send")).json()["invocationId"]
        await self.until(sent, "suspended")
        return sent

    async def go(self, invocation_id: str) -> str:
        answer = await self.ingress.post(f"/restate/signals/{invocation_id}/go/resolve", json="now")
        assert answer.is_success, answer.text
        return (await self.ingress.get(f"/restate/invocation/{invocation_id}/attach")).json()

    async def until(self, invocation_id: str, status: str) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for _ in asking_again():
            seen = (await self.admin.get(f"/invocations/{invocation_id}")).json()
            if seen["status"] == status:
                return seen
            await asyncio.sleep(0.01)
        pytest.fail(f"it does not become {status}, but is {seen}")

    async def status(self, deployment_id: str) -> str | None:
        """Of a deployment; None once it is gone."""
        answer = await self.admin.get(f"/deployments/{deployment_id}")
        return answer.json()["status"] if answer.is_success else None

    async def until_removed(self, deployment_id: str) -> None:
        for _ in asking_again():
            if await self.status(deployment_id) is None:
                return
            await asyncio.sleep(0.01)
        pytest.fail(f"{deployment_id} is not removed: it is {await self.status(deployment_id)}")


@asynccontextmanager
async def running(data_dir: Path | None = None) -> AsyncIterator[Ports]:
    engine = Engine(EngineConfig(data_dir=data_dir))
    await engine.start()
    server = HttpServer(engine, ServerConfig(ingress_port=0, admin_port=0))
    await server.start()
    try:
        async with (
            httpx.AsyncClient(base_url=server.ingress_url, timeout=60) as ingress,
            httpx.AsyncClient(base_url=server.admin_url, timeout=60) as admin,
        ):
            yield Ports(engine, ingress, admin)
    finally:
        await engine.stop(1.0)
        await server.stop(1.0)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves a service at an address of its own."""
    async with AsyncExitStack() as stack:

        async def serve(service: Service) -> str:
            listener = bind("127.0.0.1", 0)
            server = Http2Server(perdure.app([service]), listener)
            serving = asyncio.ensure_future(server.serve())
            stack.push_async_callback(asyncio.wait, [serving])
            stack.callback(server.stop)
            return url_of(listener)

        yield serve


@pytest.fixture
async def ports() -> AsyncIterator[Ports]:
    async with running() as ports:
        yield ports


async def test_what_has_begun_stays_and_what_is_new_goes_to_the_latest_or_the_promoted(
    ports: Ports, serve: Serve
) -> None:
    first = await ports.register(await serve(version(1)))
    waiting = await ports.wait()
    second = await ports.register(await serve(version(2)))
    assert await ports.greet() == "v2 greets you"

    promoted = (await ports.admin.patch(f"/deployments/{first}/promote")).json()
    assert (promoted["serves"], promoted["promoted"], promoted["status"]) == (["Greeter"], ["Greeter"], "active")
    assert await ports.greet() == "v1 greets you"
    answer = await ports.admin.post("/deployments", json={"uri": await serve(version(3))})
    assert "promoted-elsewhere" in {info["code"] for info in answer.json()["info"]}
    assert await ports.greet() == "v1 greets you"
    assert (await ports.admin.get("/services/Greeter")).json()["revision"] == 1

    await ports.admin.patch(f"/deployments/{second}/promote")
    assert await ports.greet() == "v2 greets you"
    await ports.admin.delete(f"/deployments/{second}/promote")
    assert await ports.greet() == "v3 greets you"
    assert await ports.go(waiting) == "v1 waited"
    revisions = (await ports.admin.get("/services/Greeter")).json()["revisions"]
    assert [each["revision"] for each in revisions] == [1, 2, 3]


async def test_a_deployment_with_something_left_is_not_removed_and_says_what_is_left(
    ports: Ports, serve: Serve
) -> None:
    first = await ports.register(await serve(version(1)))
    waiting = await ports.wait()
    await ports.register(await serve(version(2)))
    refused = await ports.admin.delete(f"/deployments/{first}")
    assert refused.status_code == 409
    for words in ("1 invocation", waiting, "Greeter/wait", "--drain"):
        assert words in refused.json()["message"]
    drain = (await ports.admin.get(f"/deployments/{first}/drain")).json()
    assert (drain["status"], drain["left"], drain["left_by_status"]) == ("draining", 1, {"suspended": 1})
    assert "go" in drain["invocations"][0]["waiting_reason"]

    await ports.go(waiting)
    assert await ports.status(first) == "drained"
    removed = await ports.admin.delete(f"/deployments/{first}")
    assert (removed.status_code, removed.json()["status"]) == (202, "removed")
    assert await ports.status(first) is None
    assert (await ports.admin.delete(f"/deployments/{first}")).status_code == 404


async def test_a_drained_deployment_is_removed_when_the_last_has_ended_also_after_a_restart(
    tmp_path: Path, serve: Serve
) -> None:
    async with running(tmp_path) as ports:
        first = await ports.register(await serve(version(1)))
        waiting, other = await ports.wait(), await ports.wait()
        draining = await ports.admin.delete(f"/deployments/{first}?drain=true")
        assert (draining.status_code, draining.json()["left"]) == (202, 2)
        assert "is being drained" in await ports.greet()
        await ports.register(await serve(version(2)))
        assert await ports.greet() == "v2 greets you"
        assert (await ports.admin.patch(f"/deployments/{first}/promote")).status_code == 409
    async with running(tmp_path) as ports:
        assert await ports.go(waiting) == "v1 waited"
        assert await ports.status(first) == "draining"
        await ports.admin.patch(f"/invocations/{other}/kill")
        await ports.until_removed(first)
    async with running(tmp_path) as ports:
        assert await ports.status(first) is None
        assert await ports.greet() == "v2 greets you"


async def test_registering_a_draining_deployment_again_keeps_it(ports: Ports, serve: Serve) -> None:
    url = await serve(version(1))
    first = await ports.register(url)
    waiting = await ports.wait()
    await ports.admin.delete(f"/deployments/{first}?drain=true")
    assert await ports.register(url) == first
    assert await ports.go(waiting) == "v1 waited"
    assert await ports.status(first) == "active"


async def test_force_removes_and_what_was_left_goes_on_elsewhere(ports: Ports, serve: Serve) -> None:
    first = await ports.register(await serve(version(1)))
    waiting = await ports.wait()
    await ports.register(await serve(version(2)))
    assert (await ports.admin.delete(f"/deployments/{first}?force=true")).status_code == 202
    await ports.ingress.post(f"/restate/signals/{waiting}/go/resolve", json="now")
    seen = await ports.until(waiting, "backing-off")
    assert f"perdure invocations resume {waiting} --deployment latest" in seen["last_failure"]["message"]
    resumed = await ports.admin.patch(f"/invocations/{waiting}/resume?deployment=latest")
    assert resumed.status_code == 200, resumed.text
    assert (await ports.ingress.get(f"/restate/invocation/{waiting}/attach")).json() == "v2 waited"


async def test_force_and_drain_exclude_each_other(ports: Ports, serve: Serve) -> None:
    first = await ports.register(await serve(version(1)))
    refused = await ports.admin.delete(f"/deployments/{first}?force=true&drain=true")
    assert refused.status_code == 400
    assert (await ports.admin.delete(f"/deployments/{first}?froce=true")).status_code == 400
    assert await ports.greet() == "v1 greets you"


async def test_an_updated_address_takes_what_is_in_flight_along(ports: Ports, serve: Serve) -> None:
    first = await ports.register(await serve(version(1)))
    waiting = await ports.wait()
    patched = await serve(version(7, wave=True))
    dry = await ports.admin.patch(f"/deployments/{first}", json={"uri": patched, "dry_run": True})
    assert (dry.status_code, dry.json()["uri"]) == (200, f"{patched}/")
    assert (await ports.admin.get(f"/deployments/{first}")).json()["uri"] != f"{patched}/"

    updated = await ports.admin.patch(f"/deployments/{first}", json={"uri": patched, "metadata": {"git": "abc"}})
    assert updated.json()["metadata"] == {"git": "abc"}
    assert await ports.go(waiting) == "v7 waited"
    assert (await ports.ingress.post("/Greeter/wave")).status_code == 404
    overwritten = await ports.admin.patch(f"/deployments/{first}", json={"overwrite": True})
    assert overwritten.json()["services"][0]["revision"] == 2
    assert (await ports.ingress.post("/Greeter/wave")).json() == "v7 waves"

    other = await ports.register(await serve(version(8)), breaking=True)
    refused = await ports.admin.put(f"/deployments/{other}", json={"uri": patched})
    assert (refused.status_code, refused.json()["restate_code"]) == (409, "META0004")


async def test_a_handler_that_callers_have_is_not_taken_from_them_unasked(ports: Ports, serve: Serve) -> None:
    await ports.register(await serve(version(1, wave=True)))
    sent = await ports.ingress.post("/Greeter/wave/send?delay=1h")
    assert sent.is_success
    without = await serve(version(2))
    refused = await ports.admin.post("/deployments", json={"uri": without})
    assert (refused.status_code, refused.json()["restate_code"]) == (409, "META0006")
    assert "Greeter/wave is gone: callers get 404, and 1 invocation of it" in refused.json()["message"]
    assert (await ports.admin.post("/deployments", json={"uri": without, "breaking": True})).status_code == 201


async def test_what_an_operator_sets_holds_until_the_next_revision(tmp_path: Path, serve: Serve) -> None:
    async with running(tmp_path) as ports:
        await ports.register(await serve(version(1)))
        changed = await ports.admin.patch(
            "/services/Greeter", json={"public": False, "inactivity_timeout": "PT30S", "journal_retention": None}
        )
        assert changed.json()["overrides"] == {"public": False, "inactivity_timeout": "30s"}
        refused = await ports.admin.patch("/services/Greeter", json={"workflow_completion_retention": "1h"})
        assert (refused.status_code, "no workflow" in refused.json()["message"]) == (400, True)
        wrong = await ports.admin.patch("/services/Greeter", json={"abort_timeout": "soon"})
        assert "abort_timeout: 'soon' is not a duration" in wrong.json()["message"]
    async with running(tmp_path) as ports:
        view = (await ports.admin.get("/services/Greeter")).json()
        assert (view["public"], view["inactivity_timeout"]) == (False, "30s")
        assert view["handlers"][0]["inactivity_timeout"] == "30s"
        assert not (await ports.ingress.post("/Greeter/greet", json="you")).is_success
        reset = await ports.admin.patch("/services/Greeter", json={"reset": True, "abort_timeout": "1m"})
        assert reset.json()["overrides"] == {"abort_timeout": "1m"}
        assert await ports.greet() == "v1 greets you"
        await ports.register(await serve(version(2)))
        assert "overrides" not in (await ports.admin.get("/services/Greeter")).json()


async def test_what_is_not_offered_says_so(ports: Ports) -> None:
    for method, path in (("GET", "/kafka-clusters"), ("GET", "/subscriptions"), ("DELETE", "/subscriptions/sub_1")):
        answer = await ports.admin.request(method, path)
        assert (answer.status_code, "Kafka" in answer.json()["message"]) == (501, True)
    answer = await ports.admin.post("/deployments", json={"arn": "arn:aws:lambda:eu-central-1:1:function:f:1"})
    assert (answer.status_code, "Lambda" in answer.json()["message"]) == (501, True)
    assert (await ports.admin.get("/cluster-health")).json() == {"cluster_name": "perdure"}


async def test_the_embedded_deployment_stays_while_it_is_served() -> None:
    http = ServerConfig(ingress_port=0, admin_port=0)
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(perdure.Engine([version(1)], data_dir=None, http=http))
        admin = await stack.enter_async_context(httpx.AsyncClient(base_url=engine.admin_url or "", timeout=60))
        [embedded] = (await admin.get("/deployments")).json()["deployments"]
        for query in ("", "?force=true", "?drain=true"):
            refused = await admin.delete(f"/deployments/{embedded['id']}{query}")
            assert (refused.status_code, "perdure up" in refused.json()["message"]) == (409, True)
        moved = await admin.patch(f"/deployments/{embedded['id']}", json={"uri": "http://elsewhere:9080"})
        assert moved.status_code == 409
