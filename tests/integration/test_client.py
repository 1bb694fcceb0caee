"""`perdure.create_client`: services called from outside, through a real ingress."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

import perdure
from perdure import DurableClient, HttpError
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
    return f"{name} at {ctx.key()}"


@pytest.fixture
async def client() -> AsyncIterator[DurableClient]:
    http = ServerConfig(ingress_port=0, admin_port=0)
    async with perdure.Engine([service, counter, workflow], data_dir=None, http=http) as engine:
        assert engine.ingress_url
        async with perdure.create_client(engine.ingress_url, headers={"x-tenant": "acme"}) as client:
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


async def test_no_ingress_there_is_an_os_error() -> None:
    async with perdure.create_client("http://127.0.0.1:1") as client:
        with pytest.raises(ConnectionError):
            await client.service_call(greet, Person("E"))
