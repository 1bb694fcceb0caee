"""`POST /query` over a real engine: both formats, live values, limits, and an engine that goes on meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from msgspec import Struct
from pyarrow import ipc

import perdure
from perdure.embedded import Engine
from perdure.server.app import ServerConfig
from perdure.server.query import queries
from perdure.server.query.queries import QueryLimits

ENDLESS = "with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) as n from r where n < 0"
LIMITS = QueryLimits(at_once=2, timeout_s=6.0, rows_max=50, bytes_max=20_000)

greeter = perdure.Service("Greeter")
cart = perdure.VirtualObject("Cart")


@greeter.handler()
async def greet(ctx: perdure.Context, name: str) -> str:
    return f"hello {name}"


@greeter.handler()
async def stumble(ctx: perdure.Context) -> None:
    raise ValueError("boom")


@cart.handler()
async def hold(ctx: perdure.ObjectContext) -> None:
    ctx.set("held", True)
    await ctx.sleep(timedelta(hours=1))


class Served(Struct):
    ingress: httpx.AsyncClient
    admin: httpx.AsyncClient

    async def ask(self, sql: str, accept: str = "application/json") -> httpx.Response:
        return await self.admin.post("/query", json={"query": sql}, headers={"accept": accept})

    async def rows(self, sql: str) -> list[dict[str, object]]:
        answer = await self.ask(sql)
        assert answer.status_code == 200, answer.text
        return answer.json()["rows"]

    async def until(self, sql: str) -> list[dict[str, object]]:
        """The rows, once there are some. A query that was cut off may have its place for a moment longer."""
        deadline = time.monotonic() + 60
        while (answer := await self.ask(sql)).status_code == 429 or not answer.json().get("rows"):
            assert answer.status_code in (200, 429), answer.text
            assert time.monotonic() < deadline, f"never true: {sql}"
            await asyncio.sleep(0.02)
        return answer.json()["rows"]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    http = ServerConfig(ingress_port=0, admin_port=0, queries=LIMITS)
    async with (
        Engine(perdure.app([greeter, cart]), data_dir=tmp_path, http=http) as engine,
        httpx.AsyncClient(base_url=str(engine.ingress_url), trust_env=False, timeout=60) as ingress,
        httpx.AsyncClient(base_url=str(engine.admin_url), trust_env=False, timeout=30) as admin,
    ):
        yield Served(ingress, admin)


async def test_json_where_it_is_asked_for_and_arrow_else(served: Served) -> None:
    await served.ingress.post("/Greeter/greet", json="you")
    sql = "select target, status, created_at from sys_invocation"
    answer = await served.ask(sql)
    assert answer.headers["content-type"] == "application/json"
    [row] = answer.json()["rows"]
    assert (row["target"], row["status"]) == ("Greeter/greet", "completed")
    answer = await served.ask(sql, accept="*/*")
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream"
    [told] = ipc.open_stream(answer.content).read_all().to_pylist()
    assert told["created_at"].isoformat(timespec="milliseconds").replace("+00:00", "Z") == row["created_at"]


async def test_what_runs_and_what_waits_is_seen_while_it_does(served: Served) -> None:
    await served.ingress.post("/Greeter/stumble/send")
    await served.ingress.post("/Cart/a/hold/send")
    await served.ingress.post("/Cart/a/hold/send")
    [failing] = await served.until("select * from sys_invocation where status = 'backing-off'")
    assert failing["last_failure"] == "ValueError: boom"
    assert "backs off after" in str(failing["waiting_reason"])
    [holder] = await served.until("select i.* from sys_invocation i join sys_locks l on l.acquired_by = i.id")
    [waiting] = await served.until("select * from sys_invocation where status = 'pending'")
    assert str(holder["id"]) in str(waiting["waiting_reason"])
    assert await served.until("select key, value_utf8 from state") == [{"key": "held", "value_utf8": "true"}]
    assert {row["name"] for row in await served.rows("select name from sys_service where public")} == {
        "Greeter",
        "Cart",
    }
    assert await served.until("select 1 as one from sys_journal_events where event_type = 'TransientError'")


async def test_a_bad_query_is_a_400_that_says_where(served: Served) -> None:
    answer = await served.ask("select stauts from sys_invocation")
    assert answer.status_code == 400
    assert "line 1, column 13" in answer.json()["message"]
    assert "status" in answer.json()["message"]


@pytest.mark.parametrize("accept", ["application/json", "*/*"])
async def test_two_columns_of_one_name_are_a_bad_query(served: Served, accept: str) -> None:
    for sql in ("select * from sys_invocation, state", "select a.*, b.* from state a, state b", "select 1 x, 2 x"):
        answer = await served.ask(sql, accept)
        assert answer.status_code == 400
        assert "two columns of the result are called" in answer.json()["message"]
    assert (
        await served.rows("select a.key as one, b.key as other, b.* from state a join state b on a.key = b.key") == []
    )


async def test_a_bug_is_logged_and_told_as_one_and_the_next_query_runs(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write = queries._write
    monkeypatch.setattr(queries, "_write", lambda process, items: write(process, [*items[:3], "no number", items[4]]))
    answer = await served.ask("select 1 as one")
    assert answer.status_code == 500
    assert answer.json()["message"] == "the query met a bug of the engine: its log says more"
    [record] = [each for each in caplog.records if each.name == queries.__name__]
    assert "Traceback" in record.getMessage()
    monkeypatch.undo()
    assert await served.rows("select 1 as one") == [{"one": 1}]


async def test_a_query_is_cut_off_by_time_rows_and_bytes(served: Served) -> None:
    numbers = "with recursive r(n) as (select 1 union all select n + 1 from r where n < {0}) select n from r"
    assert len(await served.rows(numbers.format(50))) == 50
    for sql, limit in [
        (ENDLESS, "--query-timeout"),
        (numbers.format(51), "rows_max"),
        ("select repeat('x', 10000) as a, repeat('y', 10000) as b", "bytes_max"),
    ]:
        answer = await served.ask(sql)
        assert answer.status_code == 400
        assert limit in answer.json()["message"]
    assert await served.rows("select 1 as one") == [{"one": 1}]


@pytest.mark.parametrize("call", ["repeat('x', 2000000000)", "lpad('x', 70000000)", "rpad('x', 1000001, 'ab')"])
async def test_a_function_that_would_make_too_long_a_text_refuses(served: Served, call: str) -> None:
    answer = await served.ask(f"select length({call}) as l")
    assert answer.status_code == 400
    assert "1000000 is the most" in answer.json()["message"]
    assert await served.rows("select length(repeat('ab', 20000)) as l") == [{"l": 40_000}]


async def test_columns_are_named_if_asked(served: Served) -> None:
    asked = {"query": "select 1 as x, null as y", "columns": True}
    answer = await served.admin.post("/query", json=asked, headers={"accept": "application/json"})
    assert answer.json() == {"rows": [{"x": 1}], "columns": ["x", "y"]}


async def test_no_more_run_at_once_than_may(served: Served) -> None:
    answers = await asyncio.gather(*(served.ask(ENDLESS) for _ in range(LIMITS.at_once + 1)))
    refused, *cut_off = sorted(answers, key=lambda answer: -answer.status_code)
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "1"
    assert [answer.status_code for answer in cut_off] == [400] * LIMITS.at_once


async def test_the_engine_goes_on_beside_a_long_query_and_a_client_that_leaves_ends_it(served: Served) -> None:
    for catastrophe in (ENDLESS, f"select '{'a' * 40}b' ~ '^(a+)+$' as x"):  # the second holds Python's lock for ever
        with pytest.raises(httpx.ReadTimeout):
            await served.admin.post("/query", json={"query": catastrophe}, timeout=0.7)
        took = []
        for _ in range(5):
            began = time.monotonic()
            assert (await served.ingress.post("/Greeter/greet", json="you")).json() == "hello you"
            took.append(time.monotonic() - began)
        assert min(took) < LIMITS.timeout_s / 2
    for _ in range(LIMITS.at_once + 1):
        assert await served.until("select 1 as one") == [{"one": 1}]
