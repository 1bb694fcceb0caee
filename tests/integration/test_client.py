"""`perdure.create_client` and `create_sync_client`: services asked from outside, through a real ingress."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, cast

import pytest

import perdure
from perdure import DurableClient, HttpError, InvocationFailed, SyncDurableClient
from perdure.errors import UsageError
from perdure.server.app import ServerConfig

service = perdure.Service("Greeter")
counter = perdure.VirtualObject("Counter")
workflow = perdure.Workflow("Signup")


@dataclass
class Person:
    name: str


@service.handler()
async def greet(ctx: perdure.Context, person: Person) -> Person:
    return Person(f"hello {person.name}")


@service.handler()
async def raw(ctx: perdure.Context, body: bytes) -> bytes:
    return body[::-1]


@service.handler()
async def nothing(ctx: perdure.Context) -> None: ...


@service.handler()
async def header(ctx: perdure.Context, name: str) -> str | None:
    return ctx.request().headers.get(name)


@service.handler()
async def fail(ctx: perdure.Context) -> None:
    raise perdure.TerminalError("not today", status_code=418)


@counter.handler()
async def add(ctx: perdure.ObjectContext, amount: int) -> int:
    total = (await ctx.get("total", type_hint=int) or 0) + amount
    ctx.set("total", total)
    return total


@counter.handler()
async def wait(ctx: perdure.ObjectContext) -> str:
    awakeable_id, future = ctx.awakeable(type_hint=str)
    ctx.set("awakeable", awakeable_id)
    return await future


@counter.handler(kind="shared")
async def awakeable(ctx: perdure.ObjectSharedContext) -> str | None:
    return await ctx.get("awakeable", type_hint=str)


@workflow.main()
async def run(ctx: perdure.WorkflowContext, name: str) -> str:
    if name == "approval":
        return await ctx.promise("approval", type_hint=str)
    return f"{name} at {ctx.key()}"


@service.handler()
async def signalled(ctx: perdure.Context) -> str:
    return await ctx.signal("go", type_hint=str)


@service.handler()
async def forever(ctx: perdure.Context) -> None:
    await ctx.awakeable()[1]


@service.handler()
async def priority(ctx: perdure.Context) -> list[str | None]:
    request = ctx.request()
    return [request.scope, request.limit_key, request.headers.get("x-perdure-priority")]


class Blocking:
    """A blocking client, each of whose methods is called in a thread: so that one test is for both clients."""

    def __init__(self, client: SyncDurableClient) -> None:
        self._client = client

    def scope(self, scope: str) -> "Blocking":
        return Blocking(self._client.scope(scope))

    def __getattr__(self, name: str) -> Any:
        return partial(asyncio.to_thread, getattr(self._client, name))


@asynccontextmanager
async def connected(kind: str, *urls: str, **settings: Any) -> AsyncIterator[DurableClient]:
    if kind == "async":
        async with perdure.create_client(*urls, **settings) as client:
            yield client
    else:
        with perdure.create_sync_client(*urls, **settings) as client:
            yield cast(DurableClient, Blocking(client))


@pytest.fixture(params=["async", "sync"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[DurableClient]:
    http = ServerConfig(ingress_port=0, admin_port=0)
    async with perdure.Engine([service, counter, workflow], data_dir=None, http=http) as engine:
        assert engine.ingress_url
        settings = {"headers": {"x-tenant": "acme"}, "admin_url": engine.admin_url}
        async with connected(request.param, engine.ingress_url, **settings) as client:
            yield client


async def test_typed_calls(client: DurableClient) -> None:
    assert await client.service_call(greet, Person("E")) == Person("hello E")
    assert await client.service_call(raw, b"\x00\xff") == b"\xff\x00"
    assert await client.service_call(nothing, None) is None
    assert await client.object_call(add, "a/b c", 2) == 2
    assert await client.object_call(add, "a/b c", 3) == 5
    assert await client.workflow_call(run, "w1", "Ada") == "Ada at w1"


async def test_calls_by_name(client: DurableClient) -> None:
    assert await client.generic_call("Counter", "add", b"4", key="k") == b"4"
    sent = await client.generic_send("Counter", "add", b"1", key="k")
    assert sent.invocation_id.startswith("inv_1")


async def test_headers_go_with_each_request(client: DurableClient) -> None:
    assert await client.service_call(header, "x-tenant") == "acme"
    assert await client.service_call(header, "x-tenant", headers={"x-tenant": "other"}) == "other"


async def test_an_idempotency_key_gives_the_first_result(client: DurableClient) -> None:
    assert await client.object_call(add, "a", 2, idempotency_key="once") == 2
    assert await client.object_call(add, "a", 2, idempotency_key="once") == 2
    first = await client.object_send(add, "a", 2, idempotency_key="again", send_delay=timedelta(hours=1))
    second = await client.object_send(add, "a", 2, idempotency_key="again")
    assert (first.new, second.new) == (True, False)
    assert first.invocation_id == second.invocation_id
    assert first.status_code == 202


async def test_failures_are_http_errors(client: DurableClient) -> None:
    with pytest.raises(HttpError, match="418: not today") as failed:
        await client.service_call(fail, None)
    assert (failed.value.status_code, failed.value.message) == (418, "not today")
    with pytest.raises(HttpError, match="404") as unknown:
        await client.generic_call("Greeter", "great", b"")
    assert "Greeter/greet" in unknown.value.message


async def test_awakeables(client: DurableClient) -> None:
    waiting = [await client.object_send(wait, key, None, idempotency_key="w") for key in ("yes", "no")]
    assert all(each.new for each in waiting)
    ids: dict[str, str] = {}
    while len(ids) < 2:
        for key in ("yes", "no"):
            if found := await client.object_call(awakeable, key, None):
                ids[key] = found
    await client.resolve_awakeable(ids["yes"], "approved")
    await client.reject_awakeable(ids["no"], "denied")
    assert await client.object_call(wait, "yes", None, idempotency_key="w") == "approved"
    with pytest.raises(HttpError, match="denied"):
        await client.object_call(wait, "no", None, idempotency_key="w")


async def test_results_by_what_a_send_gave(client: DurableClient) -> None:
    sent = await client.service_send(greet, Person("E"))
    assert await client.attach(sent) == Person("hello E")
    assert await client.output(sent) == Person("hello E")
    assert await client.attach(sent.invocation_id, type_hint=Person) == Person("hello E")
    assert await client.attach(sent.invocation_id) == {"name": "hello E"}
    later = await client.service_send(greet, Person("E"), send_delay=timedelta(hours=1))
    assert await client.output(later) is perdure.NOT_READY
    with pytest.raises(HttpError) as unknown:
        await client.attach("inv_1cGPU1tSGeIF6fHWKBQoCDQ1nnCqlgHLND")
    assert (unknown.value.status_code, unknown.value.source) == (404, "ingress")


async def test_results_by_idempotency_key(client: DurableClient) -> None:
    sent = await client.object_send(add, "k", 2, idempotency_key="once")
    assert await client.idempotent_attach(add, "once", key="k") == 2
    assert await client.idempotent_output(add, "once", key="k") == 2
    assert await client.idempotent_lookup(add, "once", key="k") == sent.invocation_id


async def test_workflows_run_once_and_give_their_result_again(client: DurableClient) -> None:
    sent = await client.workflow_send(run, "w", "approval")
    assert await client.workflow_lookup(run, "w") == sent.invocation_id
    assert await client.workflow_output(run, "w") is perdure.NOT_READY
    await client.resolve_promise(workflow, "w", "approval", "yes")
    assert await client.workflow_attach(run, "w") == "yes"
    assert await client.workflow_output(run, "w") == "yes"
    assert not (await client.workflow_send(run, "w", "approval")).new
    with pytest.raises(InvocationFailed) as again:  # the open interface calls it an answer of the invocation
        await client.workflow_call(run, "w", "approval")
    assert (again.value.status_code, again.value.source) == (409, "invocation")
    await client.workflow_send(run, "later", "Ada", send_delay=timedelta(milliseconds=20))
    assert await client.workflow_attach(run, "later") == "Ada at later"


async def test_promises_can_be_rejected_and_are_completed_once(client: DurableClient) -> None:
    await client.workflow_send(run, "no", "approval")
    await client.reject_promise("Signup", "no", "approval", "denied")
    with pytest.raises(InvocationFailed, match="denied"):
        await client.workflow_attach(run, "no")
    with pytest.raises(HttpError, match="409"):
        await client.resolve_promise(workflow, "no", "approval", "yes")


async def test_signals(client: DurableClient) -> None:
    yes, no = await client.service_send(signalled, None), await client.service_send(signalled, None)
    await client.resolve_signal(yes.invocation_id, "go", "now")
    await client.reject_signal(no.invocation_id, "go", "never")
    assert await client.attach(yes) == "now"
    with pytest.raises(InvocationFailed, match="never"):
        await client.attach(no)


async def test_a_failed_invocation_is_told_from_a_refused_request(client: DurableClient) -> None:
    with pytest.raises(InvocationFailed) as failed:
        await client.service_call(fail, None)
    assert failed.value.source == "invocation"
    assert (failed.value.invocation_id or "").startswith("inv_1")
    with pytest.raises(HttpError) as refused:
        await client.generic_call("Greeter", "greet", b"not JSON")
    assert not isinstance(refused.value, InvocationFailed)
    assert (refused.value.status_code, refused.value.source) == (400, "ingress")


async def test_cancel_and_kill(client: DurableClient) -> None:
    first, second = await client.service_send(forever, None), await client.service_send(forever, None)
    await client.cancel(first, kill_after=timedelta(minutes=1))
    with pytest.raises(InvocationFailed) as cancelled:
        await client.attach(first)
    assert cancelled.value.status_code == 409
    await client.kill(second.invocation_id)
    with pytest.raises(InvocationFailed):
        await client.attach(second)


async def test_scopes_are_other_places_and_options_reach_the_handler(client: DurableClient) -> None:
    scoped = client.scope("openai")
    assert await scoped.service_call(priority, None, limit_key="tenant/user", priority=7) == [
        "openai",
        "tenant/user",
        "7",
    ]
    assert await client.service_call(priority, None) == [None, None, None]
    assert await client.object_call(add, "k", 1) == 1
    assert await scoped.object_call(add, "k", 10, idempotency_key="i") == 10
    assert await scoped.idempotent_output(add, "i", key="k") == 10
    await scoped.workflow_send(run, "w", "approval")
    await client.workflow_send(run, "w", "Ada")
    await scoped.resolve_promise(workflow, "w", "approval", "scoped")
    assert await scoped.workflow_attach(run, "w") == "scoped"
    assert await client.workflow_attach(run, "w") == "Ada at w"


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_no_ingress_there_is_an_os_error(kind: str) -> None:
    async with connected(kind, "http://127.0.0.1:1") as client:
        with pytest.raises(ConnectionError):
            await client.service_call(greet, Person("E"))
        with pytest.raises(UsageError, match="admin_url"):
            await client.cancel("inv_1x")


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_call_with_a_key_survives_connections_that_break(kind: str) -> None:
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heard.append(head.split(b"\r\n")[0])
        if len(heard) > 2:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nnull")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, connected(kind, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
        assert await client.service_call(nothing, None, idempotency_key="once") is None
        assert heard == [b"POST /restate/call/Greeter/nothing HTTP/1.1"] * 3
        heard.clear()
        with pytest.raises(ConnectionError):
            await client.service_call(nothing, None)
        assert len(heard) == 1
