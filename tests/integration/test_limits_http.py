"""Rules and backlogs over HTTP, on a real engine."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from perdure.embedded import Engine
from perdure.sdk.context import Context
from perdure.sdk.service import Service
from perdure.server.app import ServerConfig

model = Service("Model")


class Gate:
    """What the handler waits for; an event belongs to the loop of one test."""

    event: asyncio.Event


@model.handler()
async def ask(ctx: Context, question: str) -> str:
    await ctx.run_typed("ask", Gate.event.wait)
    return question.upper()


@pytest.fixture
async def ports() -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    Gate.event = asyncio.Event()
    async with (
        Engine([model], data_dir=None, http=ServerConfig(ingress_port=0, admin_port=0)) as engine,
        httpx.AsyncClient(base_url=engine.ingress_url or "", timeout=30) as ingress,
        httpx.AsyncClient(base_url=engine.admin_url or "", timeout=30) as admin,
    ):
        yield ingress, admin
        Gate.event.set()


async def test_a_full_backlog_is_a_429_that_says_when_to_come_again(
    ports: tuple[httpx.AsyncClient, httpx.AsyncClient],
) -> None:
    ingress, admin = ports
    rule = {"pattern": "openai", "limits": {"concurrency": 1, "backlog": 1}}
    assert (await admin.put("/limits/rules", json=[rule])).status_code == 200
    path = "/restate/scope/openai/send/Model/ask"
    accepted = [await ingress.post(path, json="hello") for _ in range(2)]
    assert [response.status_code for response in accepted] == [202, 202]
    refused = await ingress.post(path, json="hello")
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["message"].startswith("1 invocations wait to begin at limit `openai`, whose backlog is 1")
    elsewhere = await ingress.post("/Model/ask/send", json="hello")
    assert elsewhere.status_code == 202
    Gate.event.set()
    answers = [
        (await ingress.get(f"/restate/invocation/{response.json()['invocationId']}/attach")).json()
        for response in accepted
    ]
    assert answers == ["HELLO", "HELLO"]
    assert (await ingress.post(path, json="hello")).status_code == 202


async def test_rules_are_put_listed_and_deleted(ports: tuple[httpx.AsyncClient, httpx.AsyncClient]) -> None:
    _, admin = ports
    wanted: list[dict[str, Any]] = [
        {"pattern": "openai", "limits": {"concurrency": 3}, "description": "our account"},
        {"pattern": "service:Model", "limits": {"rate": {"permits": 10, "per_ms": 60000}}, "disabled": True},
    ]
    put = (await admin.put("/limits/rules", json=wanted)).json()
    assert [(rule["pattern"], rule["version"], rule["disabled"]) for rule in put] == [
        ("openai", 1, False),
        ("service:Model", 1, True),
    ]
    assert (await admin.get("/limits/rules")).json() == {"rules": put}
    late = {"pattern": "openai", "precondition": {"type": "matches", "version": 7}}
    conflict = await admin.put("/limits/rules", json=[{"pattern": "new"}, late])
    assert conflict.status_code == 409
    assert "version 1, 7 was expected" in conflict.json()["message"]
    assert (await admin.get("/limits/rules")).json() == {"rules": put}
    exists = {"pattern": "openai", "precondition": {"type": "does_not_exist"}}
    assert (await admin.put("/limits/rules", json=[exists])).status_code == 409
    assert (await admin.put("/limits/rules", json=[{"pattern": "a/b/c/d"}])).status_code == 400
    assert (await admin.put("/limits/rules", json=[{"pattern": "a", "limit": {}}])).status_code == 400
    delete = [{"pattern": "openai", "expected_version": 1}, {"pattern": "unknown"}]
    removed = await admin.post("/limits/rules/bulk-delete", json=delete)
    assert removed.json() == ["openai"]
    assert [rule["pattern"] for rule in (await admin.get("/limits/rules")).json()["rules"]] == ["service:Model"]


async def test_limits_and_who_waits_are_seen_by_sql(ports: tuple[httpx.AsyncClient, httpx.AsyncClient]) -> None:
    ingress, admin = ports
    await admin.put("/limits/rules", json=[{"pattern": "openai/*", "limits": {"concurrency": 1}}])
    for _ in range(3):
        headers = {"x-restate-limit-key": "ada"}
        await ingress.post("/restate/scope/openai/send/Model/ask", json="hello", headers=headers)
    query = {"query": "select scope, l1, usage, concurrency_limit, rule_pattern, num_waiters from sys_user_limits"}
    async with asyncio.timeout(60):
        while True:
            rows = (await admin.post("/query", json=query, headers={"accept": "application/json"})).json()["rows"]
            if rows and rows[0]["num_waiters"] == 2:
                break
            await asyncio.sleep(0.01)
    assert (rows[0]["scope"], rows[0]["l1"], rows[0]["usage"], rows[0]["rule_pattern"]) == (
        *("openai", "ada", 1, "openai/*"),
    )


async def test_a_rule_for_what_is_not_there_says_so(ports: tuple[httpx.AsyncClient, httpx.AsyncClient]) -> None:
    _, admin = ports

    async def note(pattern: str) -> str | None:
        [put] = (await admin.put("/limits/rules", json=[{"pattern": pattern, "limits": {"concurrency": 1}}])).json()
        return put.get("note")

    until = "now: the rule limits nothing until there is"
    assert await note("service:Nope") == f"there is no service Nope {until}"
    assert await note("handler:Model/nope") == f"there is no handler Model/nope {until}"
    assert await note("handler:*/nope") == f"there is no handler */nope {until}"
    assert await note("deployment:xx") == f"there is no deployment xx {until}"
    for there in ("service:Model", "service:*", "handler:Model/ask", "handler:*/ask", "deployment:*", "openai/nobody"):
        assert await note(there) is None


async def test_a_pattern_stands_once_in_a_list(ports: tuple[httpx.AsyncClient, httpx.AsyncClient]) -> None:
    _, admin = ports
    refused = await admin.put(
        "/limits/rules", json=[{"pattern": "openai", "limits": {"concurrency": n}} for n in (1, 2)]
    )
    assert refused.status_code == 400
    assert "is there twice" in refused.json()["message"]
    assert (await admin.get("/limits/rules")).json() == {"rules": []}
