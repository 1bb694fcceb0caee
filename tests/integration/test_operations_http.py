"""What operators do to running invocations, over the admin port of a real engine, and the reasons that it gives."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from perdure.embedded import Engine
from perdure.engine.store.writer import Writer
from perdure.sdk.context import Context, ObjectContext, WorkflowContext
from perdure.sdk.service import Service
from perdure.sdk.virtual_object import VirtualObject
from perdure.sdk.workflow import Workflow
from perdure.server.app import ServerConfig

desk = Service("Desk", inactivity_timeout=timedelta(0))
box = VirtualObject("Box", inactivity_timeout=timedelta(0))
deal = Workflow("Deal", inactivity_timeout=timedelta(0))


class Outage(Exception):
    """What a service raises that cannot reach another."""


class Ran:
    """Counts the steps that ran, over all handlers."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.broken = True

    def step(self, name: str) -> str:
        self.steps.append(name)
        return name


ran = Ran()


@desk.handler()
async def approval(ctx: Context) -> str:
    _, promise = ctx.awakeable(type_hint=str)
    return await promise


@desk.handler()
async def ask(ctx: Context) -> str:
    return await ctx.service_call(approval, None)


@desk.handler()
async def breaks(ctx: Context) -> str:
    if ran.broken:
        raise Outage("no route to host")
    return "mended"


@desk.handler()
async def steps(ctx: Context, name: str) -> list[str]:
    first = await ctx.run_typed("first", ran.step, name="1" + name)
    second = await ctx.run_typed("second", ran.step, name="2" + name)
    return [first, second]


@desk.handler()
async def nap(ctx: Context, seconds: int) -> None:
    await ctx.sleep(timedelta(seconds=seconds), name="nap")


@box.handler()
async def hold(ctx: ObjectContext) -> str:
    _, promise = ctx.awakeable(type_hint=str)
    return await promise


@box.handler()
async def note(ctx: ObjectContext, text: str) -> str:
    before = await ctx.get("text", type_hint=str)
    ctx.set("text", text)
    return before or ""


@box.handler()
async def visit(ctx: ObjectContext, other: str) -> str:
    """Goes to the other box, which goes back to this one."""
    if other == "home":
        return "home"
    await ctx.sleep(timedelta(milliseconds=50))
    return await ctx.object_call(visit, key=other, arg=ctx.key())


@deal.main()
async def run(ctx: WorkflowContext) -> str:
    ctx.set("stage", "begun")
    return await ctx.promise("signed", type_hint=str).value()


class Ports:
    """Both ports of the engine."""

    def __init__(self, ingress: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
        self.ingress = ingress
        self.admin = admin

    async def send(self, path: str, body: Any = None) -> str:
        response = await self.ingress.post(f"/{path}/send", **({} if body is None else {"json": body}))
        return response.json()["invocationId"]

    async def show(self, id: str) -> dict[str, Any]:
        return (await self.admin.get(f"/invocations/{id}")).json()

    async def act(self, id: str, act: str, **query: Any) -> httpx.Response:
        return await self.admin.patch(f"/invocations/{id}/{act}", params=query)

    async def until(self, id: str, status: str, reason: str = "") -> dict[str, Any]:
        """Looks until it has this status, and a reason that says this."""
        async with asyncio.timeout(60):
            while True:
                shown = await self.show(id)
                if shown["status"] == status and reason in shown.get("waiting_reason", ""):
                    return shown
                await asyncio.sleep(0.01)


@pytest.fixture
async def ports() -> AsyncIterator[Ports]:
    ran.steps.clear()
    ran.broken = True
    config = ServerConfig(ingress_port=0, admin_port=0)
    async with (
        Engine([desk, box, deal], data_dir=None, http=config) as engine,
        httpx.AsyncClient(base_url=engine.ingress_url or "", timeout=30) as ingress,
        httpx.AsyncClient(base_url=engine.admin_url or "", timeout=30) as admin,
    ):
        yield Ports(ingress, admin)


async def test_each_that_waits_says_for_what(ports: Ports) -> None:
    held = await ports.send("Box/user-7/hold")
    shown = await ports.until(held, "suspended", "awakeable sign_1")
    second, third = await ports.send("Box/user-7/note", "a"), await ports.send("Box/user-7/note", "b")
    shown = await ports.until(second, "pending")
    assert shown["waiting_reason"].startswith(f"waits for key `user-7`, held by {held} for ")
    assert (await ports.until(third, "pending"))["waiting_reason"].endswith(", 1 ahead")
    asking = await ports.send("Desk/ask")
    await ports.until(asking, "suspended", "waits for `Desk/approval`, which waits for awakeable sign_1")
    broken = await ports.send("Desk/breaks")
    shown = await ports.until(broken, "backing-off", "attempt in ")
    assert "backs off after `" in shown["waiting_reason"]
    assert "no route to host" in shown["waiting_reason"]
    napping = await ports.send("Desk/nap", 3600)
    await ports.until(napping, "suspended", "waits for nap that is due in 59 min")
    later = (await ports.ingress.post("/Desk/nap/send?delay=3h", json=1)).json()["invocationId"]
    await ports.until(later, "scheduled", "starts in 2 h")
    dealing = await ports.send("Deal/d1/run")
    await ports.until(dealing, "suspended", "waits for promise `signed`")
    assert "waiting_reason" not in await ports.show(
        (await ports.ingress.post("/Desk/nap", json=0)).headers["x-restate-id"]
    )


async def test_cancel_reaches_what_backs_off_what_is_paused_and_its_children(ports: Ports) -> None:
    asking = await ports.send("Desk/ask")
    await ports.until(asking, "suspended", "approval")
    assert (await ports.act(asking, "pause")).status_code == 202
    assert (await ports.act(asking, "pause")).status_code == 200
    await ports.until(asking, "paused", f"`perdure invocations resume {asking}` lets it go on")
    assert (await ports.act(asking, "cancel")).status_code == 202
    shown = await ports.until(asking, "completed")
    assert shown["completion_failure"] == "[409] cancelled"
    broken = await ports.send("Desk/breaks")
    await ports.until(broken, "backing-off")
    told = await ports.act(broken, "cancel", kill_after="50ms")
    assert "no route to host" in told.json()["note"]
    shown = await ports.until(broken, "completed")
    assert shown["completion_failure"] in ("[409] killed", "[409] cancelled")


async def test_a_paused_one_is_mended_and_resumed(ports: Ports) -> None:
    broken = await ports.send("Desk/breaks")
    await ports.until(broken, "backing-off")
    await ports.act(broken, "pause")
    await ports.until(broken, "paused")
    ran.broken = False
    assert (await ports.act(broken, "resume", deployment="dp_none")).status_code == 404
    assert (await ports.act(broken, "resume", deployment="latest")).status_code == 200
    assert (await ports.ingress.get(f"/restate/attach/{broken}")).json() == "mended"


async def test_what_has_ended_runs_again_from_the_start_or_from_an_entry(ports: Ports) -> None:
    first = (await ports.ingress.post("/Desk/steps", json="x")).headers["x-restate-id"]
    again = (await ports.act(first, "restart-as-new")).json()["new_invocation_id"]
    assert (await ports.ingress.get(f"/restate/attach/{again}")).json() == ["1x", "2x"]
    assert ran.steps == ["1x", "2x", "1x", "2x"]
    shown = await ports.show(again)
    assert (shown["invoked_by"], shown["restarted_from"]) == ("restart_as_new", first)
    ran.steps.clear()
    later = (await ports.act(first, "restart-as-new", **{"from": "2"})).json()["new_invocation_id"]
    assert (await ports.ingress.get(f"/restate/attach/{later}")).json() == ["1x", "2x"]
    assert ran.steps == ["2x"]
    assert (await ports.act(first, "restart-as-new", **{"from": "99"})).status_code == 400


async def test_what_has_ended_is_forgotten_when_that_is_asked_for(ports: Ports) -> None:
    ended = (await ports.ingress.post("/Desk/steps", json="x")).headers["x-restate-id"]
    assert (await ports.act(ended, "purge-journal")).status_code == 200
    assert (await ports.act(ended, "restart-as-new")).status_code == 410
    assert (await ports.ingress.get(f"/restate/attach/{ended}")).json() == ["1x", "2x"]
    assert (await ports.act(ended, "purge")).status_code == 200
    assert (await ports.admin.get(f"/invocations/{ended}")).status_code == 404
    running = await ports.send("Desk/approval")
    assert (await ports.act(running, "purge")).status_code == 409


async def test_a_purged_workflow_runs_again(ports: Ports) -> None:
    for _ in range(2):
        sent = (await ports.ingress.post("/Deal/d1/run/send")).json()
        assert sent["status"] == "Accepted"
        await ports.until(sent["invocationId"], "suspended")
        assert (await ports.act(sent["invocationId"], "kill")).status_code == 200
        assert (await ports.act(sent["invocationId"], "restart-as-new")).status_code == 422
        assert (await ports.act(sent["invocationId"], "purge")).status_code == 200


async def test_many_at_once_and_each_refusal_is_told(ports: Ports) -> None:
    napping = [await ports.send("Desk/nap", 3600) for _ in range(3)]
    ended = (await ports.ingress.post("/Desk/nap", json=0)).headers["x-restate-id"]
    ids = [*napping, ended, "nonsense"]
    path = "/internal/invocations_batch_operations"
    answer = (await ports.admin.post(f"{path}/kill", json={"invocation_ids": ids})).json()
    assert answer["succeeded"] == napping
    assert [failed["invocation_id"] for failed in answer["failed"]] == [ended, "nonsense"]
    answer = (await ports.admin.post(f"{path}/restart-as-new", json={"invocation_ids": [ended]})).json()
    assert answer["succeeded"][0]["old_invocation_id"] == ended
    assert (await ports.admin.post(f"{path}/tickle", json={"invocation_ids": []})).status_code == 400
    restarted = {"invocation_ids": [ended], "from": 2, "deployment": "keep"}
    [again] = (await ports.admin.post(f"{path}/restart-as-new", json=restarted)).json()["succeeded"]
    assert (await ports.ingress.get(f"/restate/attach/{again['new_invocation_id']}")).status_code == 200
    too_many = {"invocation_ids": ["x"] * 1001}
    assert (await ports.admin.post(f"{path}/kill", json=too_many)).status_code == 413


async def test_a_cancel_of_many_says_what_came_of_each(ports: Ports) -> None:
    scheduled = (await ports.ingress.post("/Desk/nap/send?delay=1h", json=1)).json()["invocationId"]
    napping = await ports.send("Desk/nap", 3600)
    await ports.until(napping, "suspended")
    cancel = {"invocation_ids": [scheduled, napping], "kill_after": "1h"}
    answer = (await ports.admin.post("/internal/invocations_batch_operations/cancel", json=cancel)).json()
    assert answer["succeeded"] == [scheduled, napping]
    assert {id: each["done"] for id, each in answer["cancelled"].items()} == {scheduled: True, napping: False}


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        ("cancel", "deployment"),
        ("kill", "deployment"),
        ("purge", "deployment"),
        ("pause", "from"),
        ("resume", "kill_after"),
    ],
)
async def test_what_many_are_told_in_vain_is_refused(ports: Ports, operation: str, field: str) -> None:
    napping = await ports.send("Desk/nap", 3600)
    wanted = {"invocation_ids": [napping], field: 1 if field == "from" else "keep"}
    answer = await ports.admin.post(f"/internal/invocations_batch_operations/{operation}", json=wanted)
    assert (answer.status_code, answer.json()["message"]) == (400, f"{operation} takes no `{field}`")
    late = {"invocation_ids": [napping], "kill_after": "soon"}
    assert (await ports.admin.post("/internal/invocations_batch_operations/cancel", json=late)).status_code == 400


async def test_many_share_their_commits(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, each would await a commit of its own."""
    napping = [await ports.send("Desk/nap", 3600) for _ in range(100)]
    for each in napping:
        await ports.until(each, "suspended")
    commits: list[object] = []
    commit = Writer.commit
    monkeypatch.setattr(Writer, "commit", lambda writer, batch: commits.append(batch) or commit(writer, batch))
    killed = await ports.admin.post("/internal/invocations_batch_operations/kill", json={"invocation_ids": napping})
    assert len(killed.json()["succeeded"]) == 100
    assert len(commits) < 10


async def test_state_is_read_and_replaced_in_its_turn(ports: Ports) -> None:
    await ports.ingress.post("/Box/b/note", json="hello")
    state = (await ports.admin.get("/services/Box/state", params={"object_key": "b"})).json()
    assert bytes(state["state"]["text"]) == b'"hello"'
    new = {"object_key": "b", "new_state": {"text": list(b'"patched"')}, "version": state["version"]}
    assert (await ports.admin.post("/services/Box/state", json=new)).status_code == 202
    assert (await ports.admin.post("/services/Box/state", json=new)).status_code == 409
    holder = await ports.send("Box/b/hold")
    await ports.until(holder, "suspended")
    del new["version"]
    assert (await ports.admin.post("/services/Box/state", json=new | {"new_state": {}})).status_code == 202
    await ports.act(holder, "kill")
    assert (await ports.ingress.post("/Box/b/note", json="next")).json() == ""
    assert (await ports.admin.post("/services/Desk/state", json=new)).status_code == 400
    assert (await ports.admin.post("/services/None/state", json=new)).status_code == 404


async def test_a_circle_of_calls_ends_with_an_error_that_names_it(ports: Ports) -> None:
    one, other = await asyncio.gather(
        ports.ingress.post("/Box/one/visit", json="other"), ports.ingress.post("/Box/other/visit", json="one")
    )
    assert {one.status_code, other.status_code} == {508}
    assert "Box/one/visit" in one.json()["message"]
    assert "Box/other/visit" in one.json()["message"]
