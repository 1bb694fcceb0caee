"""The two ports over the real engine with embedded services: what the fake engine promises holds for the real one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from pydantic import BaseModel

from perdure.embedded import Engine
from perdure.errors import TerminalError
from perdure.sdk.context import Context, ObjectContext, WorkflowContext
from perdure.sdk.service import Service
from perdure.sdk.virtual_object import VirtualObject
from perdure.sdk.workflow import Workflow
from perdure.server.app import ServerConfig

shop = Service("Shop")
cart = VirtualObject("Cart")
signup = Workflow("Signup")


class Order(BaseModel):
    amount: int


@shop.handler()
async def order(ctx: Context, order: Order) -> dict[str, int]:
    return {"paid": order.amount}


@shop.handler()
async def refuse(ctx: Context) -> None:
    raise TerminalError("sold out", status_code=410)


@shop.handler()
async def headers(ctx: Context) -> dict[str, str]:
    return dict(ctx.request().headers)


@shop.handler()
async def approve(ctx: Context) -> str:
    name, promise = ctx.awakeable(type_hint=str)
    await ctx.run_typed("ask", _asked.put, name=name)
    return await promise


@cart.handler()
async def add(ctx: ObjectContext, count: int) -> int:
    total = (await ctx.get("count", type_hint=int) or 0) + count
    ctx.set("count", total)
    return total


@signup.main()
async def run(ctx: WorkflowContext) -> str:
    return ctx.key()


class _Asked:
    """Hands awakeable ids from the handler to the test."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def put(self, name: str) -> None:
        self.names.append(name)


_asked = _Asked()


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    config = ServerConfig(ingress_port=0, admin_port=0)
    async with Engine([shop, cart, signup], data_dir=None, http=config) as engine:
        yield engine


@pytest.fixture
async def ingress(engine: Engine) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=engine.ingress_url or "", timeout=60) as client:
        yield client


@pytest.fixture
async def admin(engine: Engine) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=engine.admin_url or "", timeout=60) as client:
        yield client


async def test_a_call_runs_the_handler(ingress: httpx.AsyncClient) -> None:
    response = await ingress.post("/Shop/order", json={"amount": 3})
    assert response.status_code == 200
    assert response.json() == {"paid": 3}
    assert response.headers["content-type"] == "application/json"


async def test_a_body_that_does_not_fit_the_annotation_is_refused_with_the_place(ingress: httpx.AsyncClient) -> None:
    response = await ingress.post("/Shop/order", json={"amount": "three"})
    assert response.status_code == 400
    assert "$.amount" in response.json()["message"]


async def test_the_handler_sees_the_clients_headers(ingress: httpx.AsyncClient) -> None:
    seen = (await ingress.post("/Shop/headers", headers={"X-Tenant": "t1"})).json()
    assert seen["x-restate-ingress-path"] == "/Shop/headers"
    assert seen["x-tenant"] == "t1"


async def test_a_terminal_error_is_the_answer(ingress: httpx.AsyncClient) -> None:
    response = await ingress.post("/Shop/refuse")
    assert response.status_code == 410
    assert response.json() == {"code": 410, "message": "sold out", "source": "invocation"}


async def test_calls_of_one_key_count_one_after_the_other(ingress: httpx.AsyncClient) -> None:
    totals = await asyncio.gather(*(ingress.post("/Cart/k%2F1/add", json=1) for _ in range(10)))
    assert sorted(int(total.content) for total in totals) == list(range(1, 11))


async def test_an_idempotency_key_gives_the_first_answer_again(ingress: httpx.AsyncClient) -> None:
    headers = {"idempotency-key": "once"}
    first = await ingress.post("/Cart/k/add", json=1, headers=headers)
    again = await ingress.post("/Cart/k/add", json=1, headers=headers)
    assert again.content == first.content == b"1"
    assert again.headers["x-restate-id"] == first.headers["x-restate-id"]
    output = await ingress.get("/restate/invocation/Cart/k/add/once/output")
    assert (output.status_code, output.content) == (200, b"1")


async def test_a_workflow_runs_once(ingress: httpx.AsyncClient) -> None:
    first = await ingress.post("/Signup/k/run")
    again = await ingress.post("/Signup/k/run")
    sent = await ingress.post("/Signup/k/run/send")
    assert (first.status_code, again.status_code, sent.status_code) == (200, 409, 202)
    assert again.headers["x-restate-id"] == first.headers["x-restate-id"]
    assert sent.json()["status"] == "PreviouslyAccepted"
    assert (await ingress.get("/restate/workflow/Signup/k/attach")).json() == "k"


async def test_an_awakeable_is_resolved_over_http(
    ingress: httpx.AsyncClient, wait_until: Callable[..., Awaitable[None]]
) -> None:
    _asked.names.clear()
    sent = (await ingress.post("/Shop/approve/send")).json()["invocationId"]
    await wait_until(lambda: bool(_asked.names), "the handler has handed out its awakeable")
    assert (await ingress.get(f"/restate/output/{sent}")).status_code == 470
    assert (await ingress.post(f"/restate/awakeables/{_asked.names[0]}/resolve", json="yes")).status_code == 202
    assert (await ingress.get(f"/restate/attach/{sent}")).json() == "yes"


async def test_a_delayed_send_is_scheduled_and_can_be_cancelled(
    ingress: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    sent = (await ingress.post("/Shop/order/send?delay=1h", json={"amount": 1})).json()
    assert sent["executionTime"].endswith("Z")
    shown = (await admin.get(f"/invocations/{sent['invocationId']}")).json()
    assert (shown["status"], shown["target"]) == ("scheduled", "Shop/order")
    assert (await admin.patch(f"/invocations/{sent['invocationId']}/cancel")).status_code == 200
    attached = await ingress.get(f"/restate/attach/{sent['invocationId']}")
    assert attached.status_code == 409
    assert (await admin.patch(f"/invocations/{sent['invocationId']}/kill")).status_code == 409


async def test_the_embedded_services_are_a_deployment(admin: httpx.AsyncClient) -> None:
    deployments = (await admin.get("/deployments")).json()["deployments"]
    assert [deployment["uri"] for deployment in deployments] == ["inproc://embedded"]
    services = (await admin.get("/services")).json()["services"]
    assert [service["name"] for service in services] == ["Cart", "Shop", "Signup"]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"uri": "http://h:99999999"}, "uri: 'http://h:99999999'"),
        ({"uri": "http://[::1"}, "uri: 'http://[::1'"),
        ({"uri": "inproc://embedded"}, "uri: inproc://embedded"),
        ({"uri": "http://127.0.0.1:1", "additional_headers": {"bad name": "x"}}, "additional_headers: 'bad name'"),
        (
            {"uri": "http://127.0.0.1:1", "additional_headers": {"a": "se\ncret"}},
            "additional_headers: the value of 'a'",
        ),
    ],
)
async def test_a_registration_that_cannot_be_tried_names_the_field(
    admin: httpx.AsyncClient, asked: dict[str, object], says: str
) -> None:
    response = await admin.post("/deployments", json=asked)
    assert response.status_code == 400
    assert says in response.json()["message"]
    assert "cret" not in response.json()["message"]


async def test_an_endpoint_that_cannot_be_reached_is_not_registered(admin: httpx.AsyncClient) -> None:
    response = await admin.post("/deployments", json={"uri": "http://127.0.0.1:1"})
    assert response.status_code == 500
    assert response.json()["restate_code"] == "META0003"
