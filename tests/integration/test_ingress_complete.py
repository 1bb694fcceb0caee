"""What else the ingress is asked: by target, in scopes, for signals and promises, with large bodies, for documents.

What is expected here was seen on the real server, where it answers the same; where we differ, a comment says so.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from perdure.engine.answers import Failure
from perdure.engine.config import EngineConfig
from perdure.engine.events import Target
from perdure.errors import Overloaded
from perdure.protocol.ids import idempotent_invocation_id, new_invocation_id, workflow_invocation_id
from tests.integration.server_fixtures import Served, serve
from tests.unit.server.fake_engine import FakeEngine

LIMIT = 1024 * 1024
KEPT_UNTIL = "2027-01-15T08:00:00.073+00:00"


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serve(FakeEngine(EngineConfig(body_bytes_max=LIMIT, bodies_bytes_max=LIMIT))) as served:
        yield served


async def ask(served: Served, act: str, **target: str) -> httpx.Response:
    return await served.ingress.post(f"/restate/{act}", json=target)


async def test_lookup_computes_the_id_of_what_need_not_exist(served: Served) -> None:
    run = {"target": "workflow", "workflowName": "Signup", "workflowKey": "k"}
    keyed = {"target": "idempotentInvocation", "service": "Cart", "key": "k", "handler": "add", "idempotencyKey": "i"}
    plain = {"target": "idempotentInvocation", "service": "Echo", "handler": "echo", "idempotencyKey": "i"}
    id = str(new_invocation_id())
    for target, expected in (
        (run, workflow_invocation_id("Signup", "k")),
        ({**run, "scope": "s"}, workflow_invocation_id("Signup", "k", "s")),
        (keyed, idempotent_invocation_id("Cart", "k", "add", "i")),
        ({**plain, "scope": "s"}, idempotent_invocation_id("Echo", None, "echo", "i", "s")),
        ({"target": "invocation", "invocationId": id}, id),
    ):
        response = await ask(served, "lookup", **target)
        assert (response.status_code, response.json()) == (200, {"invocationId": expected})
    assert (await ask(served, "output", **run)).status_code == 404


@pytest.mark.parametrize("body", ["", "{", "[]", '{"target":"other"}', '{"target":"workflow"}', '{"target":1}'])
async def test_a_body_that_names_no_invocation_is_refused(served: Served, body: str) -> None:
    # The real server answers 500, with a stack trace.
    for act in ("lookup", "attach", "output"):
        response = await served.ingress.post(f"/restate/{act}", content=body)
        assert response.status_code == 400
        assert "idempotentInvocation" in response.json()["message"]


async def test_results_are_had_by_target_and_say_how_long_they_are_kept(served: Served) -> None:
    called = await served.ingress.post("/Echo/echo", content=b"1", headers={"idempotency-key": "k"})
    assert called.headers["idempotency-expires"] == KEPT_UNTIL
    assert "idempotency-expires" not in (await served.ingress.post("/Echo/echo", content=b"1")).headers
    target = {"target": "idempotentInvocation", "service": "Echo", "handler": "echo", "idempotencyKey": "k"}
    for act in ("attach", "output"):
        response = await ask(served, act, **target)
        assert (response.status_code, response.content) == (200, b"1")
        assert response.headers["idempotency-expires"] == KEPT_UNTIL
        assert response.headers["x-restate-id"] == called.headers["x-restate-id"]


async def test_a_call_in_a_scope_passes_scope_and_limit_key_on(served: Served) -> None:
    path = "/restate/scope/tenant-7/call/Cart/k/add"
    assert (await served.ingress.post(f"{path}?limit-key=a/b")).status_code == 200
    header = {"x-restate-limit-key": "c"}
    assert (await served.ingress.post(f"{path}?limit-key=a/b", headers=header)).status_code == 200
    assert (await served.ingress.post(path.replace("call", "send") + "?limit-key=")).status_code == 202
    target = Target("Cart", "add", "k", "tenant-7")
    assert [(asked.target, asked.limit_key) for asked in served.engine.asked] == [
        (target, "a/b"),
        (target, "c"),
        (target, None),
    ]
    assert ("x-restate-limit-key", "c") in served.engine.asked[1].headers


@pytest.mark.parametrize(
    ("path", "headers", "says"),
    [
        ("/restate/scope/s%20x/call/Echo/echo", {}, "scope 's x'"),
        ("/restate/scope//call/Echo/echo", {}, "scope ''"),
        ("/restate/scope/s/call/Echo/echo?limit-key=a/b/c", {}, "limit key 'a/b/c'"),
        ("/restate/scope/s/call/Echo/echo?limit-key=ok", {"x-restate-limit-key": "a b"}, "limit key 'a b'"),
        ("/restate/call/Echo/echo?limit-key=a", {}, "without a scope"),
        ("/Echo/echo", {"x-restate-limit-key": "a"}, "without a scope"),
        ("/Echo/echo", {"x-perdure-priority": "high"}, "x-perdure-priority"),
        ("/Echo/echo", {"x-perdure-priority": "101"}, "-100 to 100"),
        ("/Echo/echo", {"x-perdure-priority": "1.5"}, "whole number"),
    ],
)
async def test_malformed_modifiers_are_named(served: Served, path: str, headers: dict[str, str], says: str) -> None:
    response = await served.ingress.post(path, headers=headers)
    assert response.status_code == 400, response.text
    assert says in response.json()["message"]
    assert not served.engine.asked


async def test_priority_and_query_reach_the_handler(served: Served) -> None:
    await served.ingress.post("/Echo/echo/send?delay=0s&for=me", headers={"x-perdure-priority": "-100"})
    headers = served.engine.asked[0].headers
    assert ("x-perdure-priority", "-100") in headers
    assert headers[0] == ("x-restate-ingress-path", "/Echo/echo/send?delay=0s&for=me")
    assert served.engine.asked[0].delay_ms == 0


async def test_a_workflow_is_submitted_for_later(served: Served) -> None:
    for path in ("/Signup/k/run/send?delay=P1DT2H", "/restate/send/Signup/k/run?delay=1000000d"):
        response = await served.ingress.post(path)
        assert response.status_code == 202
        assert response.json()["executionTime"].endswith("000000Z")
    assert served.engine.asked[0].delay_ms == 93_600_000


async def test_a_delay_without_a_unit_is_milliseconds(served: Served) -> None:
    assert (await served.ingress.post("/Echo/echo/send?delay=300")).status_code == 202
    assert served.engine.asked[0].delay_ms == 300


async def test_signals_are_sent_by_name(served: Served) -> None:
    id = (await served.ingress.post("/Echo/hang/send")).json()["invocationId"]
    sent = await served.ingress.post(f"/restate/signals/{id}/go%2Fon%20%C3%A4/resolve", json={"a": 1})
    refused = await served.ingress.post(f"/restate/signals/{id}/go/reject", content="too late")
    assert (sent.status_code, sent.content, refused.status_code) == (202, b"", 202)
    assert served.engine.told == [
        ("signal", id, "go/on ä", b'{"a":1}'),
        ("signal", id, "go", Failure(500, "too late")),
    ]
    assert (await served.ingress.post(f"/restate/signals/{new_invocation_id()}/go/resolve")).status_code == 404
    broken = {"content": "{", "headers": {"content-type": "application/json"}}
    assert (await served.ingress.post(f"/restate/signals/{id}/go/resolve", **broken)).status_code == 400


async def test_promises_are_completed_by_workflow_and_name(served: Served) -> None:
    assert (await served.ingress.post("/restate/promises/Signup/k/email/resolve", json="a@b")).status_code == 202
    scoped = "/restate/scope/s/promises/Signup/k/email/reject"
    assert (await served.ingress.post(scoped, content="bounced")).status_code == 202
    assert served.engine.told == [
        ("promise", "Signup", "k", "email", b'"a@b"', None),
        ("promise", "Signup", "k", "email", Failure(500, "bounced"), "s"),
    ]
    assert (await served.ingress.get("/restate/promises/Signup/k/email/resolve")).status_code == 405
    assert (await served.ingress.post("/restate/promises/Signup/k/resolve")).status_code == 404


async def test_a_large_call_is_taken_in_then_attached_to(served: Served) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"x" * (LIMIT // 4)

    served.engine.release.set()
    headers = {"idempotency-key": "k"}
    response = await served.ingress.post("/Echo/echo", content=pieces(), headers=headers)
    assert (response.status_code, response.content) == (200, b"attached")
    assert len(served.engine.asked[0].body) == LIMIT
    first = await served.ingress.post("/Signup/k/run", content=pieces())
    again = await served.ingress.post("/Signup/k/run", content=pieces())
    assert (first.status_code, again.status_code) == (200, 409)
    assert again.headers["x-restate-error-source"] == "invocation"


async def test_what_is_too_large_is_answered_before_it_is_sent_and_the_connection_ends(served: Served) -> None:
    url = httpx.URL(served.server.ingress_url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(b"POST /Echo/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    for _ in range(2 + LIMIT // 0x10000):  # more follows for ever, as far as the server knows
        writer.write(piece)
        await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 60)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer.lower()
    assert str(LIMIT).encode() in answer
    writer.close()


async def test_a_full_backlog_is_answered_with_when_to_come_back(served: Served) -> None:
    served.engine.refusal = Overloaded("too many wait", retry_after_ms=1_500)
    response = await served.ingress.post("/Echo/echo")
    assert (response.status_code, response.headers["retry-after"]) == (429, "2")
    assert response.headers["x-restate-error-source"] == "ingress"


async def test_documents_of_all_and_of_one_service(served: Served) -> None:
    every = (await served.ingress.get("/openapi")).json()
    assert "/restate/call/Cart/{key}/add" in every["paths"]
    assert "/restate/lookup" in every["paths"]
    one = (await served.ingress.get("/openapi/Cart")).json()
    assert one["info"]["title"] == "Cart"
    assert "/restate/call/Echo/echo" not in one["paths"]
    assert (await served.ingress.get("/openapi/Absent")).status_code == 404


async def test_clients_with_large_bodies_wait_for_room(
    served: Served, wait_until: Callable[..., Awaitable[None]]
) -> None:
    """Eight uploads of half the room each: none is lost, and none holds up a small call."""

    async def slowly(step: asyncio.Event) -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"x" * (LIMIT // 8)
            await step.wait()

    step = asyncio.Event()
    uploads = [
        asyncio.create_task(served.ingress.post("/Echo/echo/send", content=slowly(step), timeout=60)) for _ in range(8)
    ]
    assert (await served.ingress.post("/Echo/echo", content=b"small")).content == b"small"
    step.set()
    answers = await asyncio.gather(*uploads)
    assert [answer.status_code for answer in answers] == [202] * 8
    assert [len(asked.body) for asked in served.engine.asked[1:]] == [LIMIT // 2] * 8
