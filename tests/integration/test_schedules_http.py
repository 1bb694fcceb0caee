"""Schedules over HTTP, on a real engine: what is given as input is shown as it was given, whatever is edited."""

from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from perdure.embedded import Engine
from perdure.errors import TerminalError
from perdure.sdk.context import Context
from perdure.sdk.serde import BytesSerde
from perdure.sdk.service import Service
from perdure.server.admin.app import OPERATIONS
from perdure.server.app import ServerConfig

greeter = Service("Greeter")


@greeter.handler()
async def greet(ctx: Context, name: str) -> str:
    if name == "nobody":
        raise TerminalError("there is nobody", 422)
    return name


@greeter.handler(accept="*/*", input_serde=BytesSerde())
async def take(ctx: Context, data: bytes) -> None:
    """Anything."""


@pytest.fixture
async def admin() -> AsyncIterator[httpx.AsyncClient]:
    async with (
        Engine([greeter], data_dir=None, http=ServerConfig(ingress_port=0, admin_port=0)) as engine,
        httpx.AsyncClient(base_url=engine.admin_url or "", timeout=30) as admin,
    ):
        yield admin


def schedule(**fields: object) -> dict[str, Any]:
    return {"id": "hourly", "target": {"service": "Greeter", "handler": "greet"}, "every": "1h", **fields}


def of_bytes(**fields: object) -> dict[str, Any]:
    return schedule(target={"service": "Greeter", "handler": "take"}, **fields)


def base64(data: bytes) -> str:
    return b64encode(data).decode()


async def test_bytes_that_are_not_the_json_that_they_are_said_to_be_are_refused(admin: httpx.AsyncClient) -> None:
    said = {"headers": {"content-type": "application/json"}, "input_base64": base64(b"{ no json")}
    refused = await admin.post("/schedules", json=schedule(**said))
    assert refused.status_code == 400, refused.text
    assert "not the JSON" in refused.json()["message"]
    assert (await admin.get("/schedules")).json() == {"schedules": []}
    made = await admin.post("/schedules", json=schedule(input="Ada"))
    assert made.status_code == 201
    for edit in ({"input_base64": base64(b"\xff")}, said):
        assert (await admin.patch("/schedules/hourly", json=edit)).status_code == 400
    assert (await admin.get("/schedules")).json()["schedules"][0]["input"] == "Ada"


async def test_json_that_is_given_as_bytes_is_shown_as_json(admin: httpx.AsyncClient) -> None:
    said = {"headers": {"content-type": "application/json"}, "input_base64": base64(b'{"name": "Ada"}')}
    made = (await admin.post("/schedules", json=of_bytes(**said))).json()
    assert made["input"] == {"name": "Ada"}
    assert "input_base64" not in made


async def test_bytes_are_shown_as_bytes_and_keep_their_content_type(admin: httpx.AsyncClient) -> None:
    made = (await admin.post("/schedules", json=of_bytes(input_base64=base64(b"\xff")))).json()
    assert (made["input_base64"], made["headers"]) == (base64(b"\xff"), {"content-type": "application/octet-stream"})
    text = {"headers": {"content-type": "text/plain"}, "input_base64": base64(b"Ada")}
    assert (await admin.patch("/schedules/hourly", json=text)).json()["headers"] == {"content-type": "text/plain"}
    edited = (await admin.patch("/schedules/hourly", json={"input_base64": base64(b"Bob")})).json()
    assert (edited["input_base64"], edited["headers"]) == (base64(b"Bob"), {"content-type": "text/plain"})


async def test_new_headers_leave_the_input_what_it_is(admin: httpx.AsyncClient) -> None:
    await admin.post("/schedules", json=schedule(input="Ada", headers={"x-team": "a"}))
    edited = (await admin.patch("/schedules/hourly", json={"headers": {"X-Desk": "b"}})).json()
    assert edited["headers"] == {"content-type": "application/json", "x-desk": "b"}
    assert edited["input"] == "Ada"
    assert "input_base64" not in edited


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"input": 7}, 'at $: value is not of type "string"'),
        ({}, "input: Greeter/greet needs a body, but an empty one came"),
        (
            {"input_base64": base64(b"Ada"), "headers": {"content-type": "text/plain"}},
            "content-type 'text/plain' is not what Greeter/greet takes",
        ),
        ({"input": "Ada", "headers": {"x-perdure-priority": "9999"}}, "from -100 to 100"),
        ({"input": "Ada", "headers": {"bad name": "x"}}, "'bad name' is no name of a header"),
        ({"input": "Ada", "headers": {"x-team": "a\nx-b: c"}}, "line break"),
        ({"input": "Ada", "headers": {"X-Restate-Limit-Key": "a"}}, "the field `limit_key` says it"),
        ({"input": "Ada", "headers": {"idempotency-key": "a"}}, "each time that is due begins one invocation"),
    ],
)
async def test_what_the_handler_would_not_take_is_refused_when_it_is_said(
    admin: httpx.AsyncClient, wrong: dict[str, Any], says: str
) -> None:
    refused = await admin.post("/schedules", json=schedule(**wrong))
    assert refused.status_code == 400, refused.text
    assert says in refused.json()["message"]
    await admin.post("/schedules", json=schedule(input="Ada"))
    if wrong:
        refused = await admin.patch("/schedules/hourly", json=wrong)
        assert refused.status_code == 400, refused.text
        assert says in refused.json()["message"]
    other = {"target": {"service": "Greeter", "handler": "take"}}
    assert (await admin.patch("/schedules/hourly", json=other)).status_code == 200


async def test_how_what_was_started_failed_is_shown(admin: httpx.AsyncClient) -> None:
    async def run() -> dict[str, Any]:
        started = (await admin.post("/schedules/hourly/trigger", json={})).json()["invocation_id"]
        ingress_url = (await admin.get("/version")).json()["ingress_endpoint"]
        await admin.get(f"{ingress_url}/restate/attach/{started}")
        return (await admin.get("/schedules/hourly")).json()

    await admin.post("/schedules", json=schedule(input="nobody"))
    assert (await run())["last_failure"] == "[422] there is nobody"
    await admin.patch("/schedules/hourly", json={"input": "Ada"})
    assert (await run())["last_failure"] is None


async def test_a_web_page_of_somebody_else_cannot_trigger(admin: httpx.AsyncClient) -> None:
    await admin.post("/schedules", json=schedule(input="Ada"))
    unasked = {"headers": {"content-type": "text/plain"}, "content": b"{}"}
    for simple in ({}, unasked):  # what a browser sends across sites without asking first
        refused = await admin.post("/schedules/hourly/trigger", **simple)
        assert refused.status_code == 415, refused.text
    triggered = await admin.post("/schedules/hourly/trigger", json={})
    assert triggered.status_code == 200, triggered.text
    assert triggered.json()["invocation_id"].startswith("inv_")


def test_whatever_is_posted_is_json() -> None:
    """So that a browser asks first, before it sends anything across sites."""
    without_body = [each.path for each in OPERATIONS if each.method == "POST" and each.body is None]
    assert without_body == ["/kafka-clusters", "/subscriptions"]  # which do nothing
