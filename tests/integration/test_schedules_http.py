"""Schedules over HTTP, on a real engine: what is given as input is shown as it was given, whatever is edited."""

from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from perdure.embedded import Engine
from perdure.sdk.context import Context
from perdure.sdk.service import Service
from perdure.server.admin.app import OPERATIONS
from perdure.server.app import ServerConfig

greeter = Service("Greeter")


@greeter.handler()
async def greet(ctx: Context, name: str) -> str:
    return name


@pytest.fixture
async def admin() -> AsyncIterator[httpx.AsyncClient]:
    async with (
        Engine([greeter], data_dir=None, http=ServerConfig(ingress_port=0, admin_port=0)) as engine,
        httpx.AsyncClient(base_url=engine.admin_url or "", timeout=30) as admin,
    ):
        yield admin


def schedule(**fields: object) -> dict[str, Any]:
    return {"id": "hourly", "target": {"service": "Greeter", "handler": "greet"}, "every": "1h", **fields}


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
    made = (await admin.post("/schedules", json=schedule(**said))).json()
    assert made["input"] == {"name": "Ada"}
    assert "input_base64" not in made


async def test_bytes_are_shown_as_bytes_and_keep_their_content_type(admin: httpx.AsyncClient) -> None:
    made = (await admin.post("/schedules", json=schedule(input_base64=base64(b"\xff")))).json()
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
