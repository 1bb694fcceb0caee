"""The ingress over the real engine: signals, promises, scopes, delays and large bodies do what they say."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from perdure.embedded import Engine
from perdure.errors import TerminalError
from perdure.sdk.context import Context, ObjectContext, WorkflowContext
from perdure.sdk.service import Service
from perdure.sdk.virtual_object import VirtualObject
from perdure.sdk.workflow import Workflow
from perdure.server.app import ServerConfig

desk = Service("Desk")
tally = VirtualObject("Tally")
claim = Workflow("Claim")
hidden = Workflow("Hidden", ingress_private=True)


@desk.handler()
async def waits(ctx: Context, name: str) -> str:
    try:
        return f"got {await ctx.signal(name, type_hint=str)}"
    except TerminalError as error:
        return f"{error.status_code} {error.message}"


@desk.handler()
async def size(ctx: Context, text: str) -> int:
    await asyncio.sleep(0.05)
    return len(text)


@tally.handler()
async def add(ctx: ObjectContext, count: int) -> int:
    total = (await ctx.get("count", type_hint=int) or 0) + count
    ctx.set("count", total)
    return total


@claim.main()
async def run(ctx: WorkflowContext) -> str:
    try:
        return f"{ctx.key()}: {await ctx.promise('decision', type_hint=str)}"
    except TerminalError as error:
        return f"{error.status_code} {error.message}"


@hidden.main("run")
async def run_hidden(ctx: WorkflowContext) -> None: ...


@pytest.fixture
async def ingress() -> AsyncIterator[httpx.AsyncClient]:
    config = ServerConfig(ingress_port=0, admin_port=0)
    async with (
        Engine([desk, tally, claim, hidden], data_dir=None, http=config) as engine,
        httpx.AsyncClient(base_url=engine.ingress_url or "", timeout=60) as client,
    ):
        yield client


async def send(ingress: httpx.AsyncClient, path: str, argument: object = None) -> str:
    answer = await (ingress.post(path) if argument is None else ingress.post(path, json=argument))
    assert answer.status_code == 202, answer.text
    return answer.json()["invocationId"]


async def result(ingress: httpx.AsyncClient, invocation_id: str) -> object:
    return (await ingress.get(f"/restate/attach/{invocation_id}")).json()


async def test_a_signal_is_had_by_its_name_whatever_that_is(ingress: httpx.AsyncClient) -> None:
    for name, path in (("go", "go"), ("go/on ä", "go%2Fon%20%C3%A4"), ("42", "42")):
        id = await send(ingress, "/Desk/waits/send", name)
        assert (await ingress.post(f"/restate/signals/{id}/{path}/resolve", json="on")).status_code == 202
        assert await result(ingress, id) == "got on"
        # To one that has ended it is nothing, as an awakeable would be.
        assert (await ingress.post(f"/restate/signals/{id}/{path}/resolve", json="on")).status_code == 202
    id = await send(ingress, "/Desk/waits/send", "go")
    assert (await ingress.post(f"/restate/signals/{id}/go/reject", content="too late")).status_code == 202
    assert await result(ingress, id) == "500 too late"


async def test_the_engines_own_signals_are_refused(ingress: httpx.AsyncClient) -> None:
    id = await send(ingress, "/Desk/waits/send", "go")
    for name in ("1", "16"):
        answer = await ingress.post(f"/restate/signals/{id}/{name}/resolve")
        assert answer.status_code == 400
        assert "cancel" in answer.json()["message"]
    assert (await ingress.post(f"/restate/signals/{id}//resolve")).status_code == 400
    assert (await ingress.post(f"/restate/signals/{id}/go/resolve", json="on")).status_code == 202


async def test_a_promise_is_completed_once_also_before_its_workflow(ingress: httpx.AsyncClient) -> None:
    path = "/restate/promises/Claim/c1/decision"
    assert (await ingress.post(f"{path}/resolve", json="yes")).status_code == 202
    for act in ("resolve", "reject"):
        assert (await ingress.post(f"{path}/{act}", json="no")).status_code == 409
    assert (await ingress.post("/Claim/c1/run")).json() == "c1: yes"
    id = await send(ingress, "/Claim/c2/run/send")
    assert (await ingress.post("/restate/promises/Claim/c2/decision/reject", content="fraud")).status_code == 202
    assert await result(ingress, id) == "500 fraud"


@pytest.mark.parametrize(("service", "status"), [("Absent", 404), ("Tally", 400), ("Desk", 400), ("Hidden", 400)])
async def test_what_has_no_promises_for_the_outside_says_so(
    ingress: httpx.AsyncClient, service: str, status: int
) -> None:
    answer = await ingress.post(f"/restate/promises/{service}/k/decision/resolve", json=1)
    assert answer.status_code == status
    assert service in answer.json()["message"]


async def test_what_is_in_a_scope_is_another_thing(ingress: httpx.AsyncClient) -> None:
    assert (await ingress.post("/Tally/k/add", json=1)).json() == 1
    assert (await ingress.post("/restate/scope/a/call/Tally/k/add?limit-key=x/y", json=5)).json() == 5
    assert (await ingress.post("/restate/scope/b/call/Tally/k/add", json=7)).json() == 7
    assert (await ingress.post("/Tally/k/add", json=1)).json() == 2
    id = await send(ingress, "/restate/scope/a/send/Claim/c/run")
    await ingress.post("/restate/scope/a/promises/Claim/c/decision/resolve", json="yes")
    target = {"target": "workflow", "workflowName": "Claim", "workflowKey": "c"}
    assert (await ingress.post("/restate/lookup", json={**target, "scope": "a"})).json()["invocationId"] == id
    assert (await ingress.post("/restate/attach", json={**target, "scope": "a"})).json() == "c: yes"
    assert (await ingress.post("/restate/attach", json=target)).status_code == 404


async def test_a_workflow_is_submitted_for_later_once(ingress: httpx.AsyncClient) -> None:
    await ingress.post("/restate/promises/Claim/later/decision/resolve", json="yes")
    first = (await ingress.post("/Claim/later/run/send?delay=200ms")).json()
    again = (await ingress.post("/Claim/later/run/send")).json()
    assert again == {**first, "status": "PreviouslyAccepted"}
    assert (await ingress.get("/restate/workflow/Claim/later/output")).status_code == 470
    done = await ingress.get("/restate/workflow/Claim/later/attach")
    assert done.json() == "later: yes"
    assert "idempotency-expires" in done.headers
    assert "executionTime" not in (await ingress.post("/Claim/later/run/send")).json()
    assert "executionTime" in (await ingress.post("/Desk/size/send?delay=0s", json="x")).json()


async def test_a_large_body_arrives_whole_and_its_result_comes_back(ingress: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'"'
        for _ in range(64):
            yield b"x" * 65_536
        yield b'"'

    headers = {"content-type": "application/json"}
    assert (await ingress.post("/Desk/size", content=pieces(), headers=headers)).json() == 64 * 65_536


async def test_the_documents_of_what_is_served(ingress: httpx.AsyncClient) -> None:
    document = (await ingress.get("/openapi")).json()
    paths = document["paths"]
    assert "/restate/promises/Claim/{key}/{promise}/resolve" in paths
    assert not any("Hidden" in path for path in paths)
    assert "Hidden" not in [tag["name"] for tag in document["tags"]]


@pytest.mark.parametrize("path", ["/Absent/x", "/Desk/absent"])
async def test_who_asks_for_what_is_not_there_hears_nothing_of_what_is_private(
    ingress: httpx.AsyncClient, path: str
) -> None:
    refused = await ingress.post(path)
    assert refused.status_code == 404
    assert "What exists: Claim/run, Desk/size, Desk/waits, Tally/add." in refused.json()["message"]


async def test_an_empty_key_is_a_key_as_the_document_says(ingress: httpx.AsyncClient) -> None:
    assert (await ingress.post("/Tally//add", json=1)).json() == 1
    assert (await ingress.post("/restate/call/Tally//add", json=2)).json() == 3
    key = (await ingress.get("/openapi")).json()["components"]["parameters"]["key"]
    assert key["schema"] == {"type": "string"}
