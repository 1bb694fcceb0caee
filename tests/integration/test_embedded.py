"""`perdure.Engine`: the engine held by a program of one's own."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import assert_type

import httpx
import pytest

import perdure
from perdure.errors import Conflict, EngineStopping, PortUnavailable, StoreLocked, UsageError
from perdure.server.app import ServerConfig
from tests.conformance.processes import free_ports

greeter = perdure.Service("Greeter")
runs: list[str] = []


@greeter.handler()
async def greet(ctx: perdure.Context, name: str) -> str:
    return f"hello {name}"


@greeter.handler()
def plain(ctx: perdure.Context) -> int:
    return 7


@greeter.handler()
async def fail(ctx: perdure.Context) -> None:
    raise perdure.TerminalError("not today", status_code=418)


@greeter.handler()
async def twice(ctx: perdure.Context, name: str) -> str:
    async def step() -> str:
        runs.append(name)
        return name

    first = await ctx.run_typed("step", step)
    await ctx.sleep(timedelta(milliseconds=300))
    return first + first


@greeter.handler()
async def hang(ctx: perdure.Context) -> None:
    runs.append("hang")
    await asyncio.Event().wait()


counter = perdure.VirtualObject("Counter")


@counter.handler()
async def add(ctx: perdure.ObjectContext, amount: int) -> int:
    total = (await ctx.get("total", type_hint=int) or 0) + amount
    ctx.set("total", total)
    return total


async def test_handlers_are_called_by_the_functions_themselves() -> None:
    async with perdure.Engine([greeter, counter], data_dir=None) as engine:
        assert_type(await engine.call(greet, "E"), str)
        assert await engine.call(greet, "E") == "hello E"
        assert await engine.call(plain) == 7
        assert [await engine.call(add, 2, key="a"), await engine.call(add, 3, key="a")] == [2, 5]
        assert await engine.call(add, 1, key="b", idempotency_key="once") == 1
        assert await engine.call(add, 1, key="b", idempotency_key="once") == 1


async def test_a_send_is_not_put_off_into_the_past() -> None:
    async with perdure.Engine([greeter], data_dir=None) as engine:
        with pytest.raises(UsageError, match="delay must be zero or more, not -1 s"):
            await engine.send(greet, "E", delay=timedelta(seconds=-1))


async def test_what_a_send_gave_names_its_invocation() -> None:
    async with perdure.Engine([greeter], data_dir=None) as engine:
        sent = await engine.send(greet, "E", delay=timedelta(hours=1))
        await engine.resolve_signal(sent, "go", 1)
        await engine.reject_signal(sent, "go", "no")
        await engine.cancel(sent)
        with pytest.raises(perdure.TerminalError, match="cancel"):
            await engine.attach(greet, sent)
        with pytest.raises(Conflict):
            await engine.kill(sent)
        with pytest.raises(UsageError, match="by its id, or by what a send gave, not by a int"):
            await engine.kill(7)  # type: ignore[arg-type]


async def test_a_send_is_attached_to() -> None:
    async with perdure.Engine(perdure.app([greeter]), data_dir=None) as engine:
        sent = await engine.send(greet, "E", delay=timedelta(milliseconds=20))
        assert sent.new
        assert await engine.attach(greet, sent.invocation_id) == "hello E"


async def test_a_failure_is_the_handlers_own() -> None:
    async with perdure.Engine([greeter], data_dir=None) as engine:
        with pytest.raises(perdure.TerminalError, match="not today") as caught:
            await engine.call(fail)
        assert caught.value.status_code == 418


async def test_keys_are_wanted_where_they_belong() -> None:
    async with perdure.Engine([greeter, counter], data_dir=None) as engine:
        with pytest.raises(UsageError, match="Counter/add needs a key: it is in a virtual object"):
            await engine.call(add, 1)
        with pytest.raises(UsageError, match="Greeter/greet has no keys: it is in a service"):
            await engine.call(greet, "E", key="a")


async def test_work_outlives_the_engine(tmp_path: Path, wait_until: Callable[..., Awaitable[None]]) -> None:
    async with perdure.Engine([greeter], data_dir=tmp_path) as engine:
        sent = await engine.send(twice, "work")
        await wait_until(lambda: runs.count("work") == 1, "the step runs")
    async with perdure.Engine([greeter], data_dir=tmp_path) as engine:
        assert await engine.attach(twice, sent.invocation_id) == "workwork"
    assert runs.count("work") == 1


async def test_a_second_engine_on_the_store_is_refused(tmp_path: Path) -> None:
    async with perdure.Engine(data_dir=tmp_path):
        with pytest.raises(StoreLocked):
            async with perdure.Engine(data_dir=tmp_path):
                pass
    async with perdure.Engine(data_dir=tmp_path):
        pass


async def test_it_serves_over_http_when_asked(tmp_path: Path) -> None:
    async with (
        perdure.Engine([greeter], data_dir=tmp_path, http=ServerConfig(ingress_port=0, admin_port=0)) as engine,
        httpx.AsyncClient(timeout=60) as client,
    ):
        answer = await client.post(f"{engine.ingress_url}/Greeter/greet", json="E")
        assert answer.json() == "hello E"
        assert (await client.get(f"{engine.admin_url}/health")).status_code == 200
        taken = int(str(engine.admin_url).rpartition(":")[2])
        with pytest.raises(PortUnavailable):
            async with perdure.Engine(http=ServerConfig(ingress_port=0, admin_port=taken), data_dir=tmp_path / "b"):
                pass
    async with perdure.Engine(data_dir=tmp_path / "b"):  # what failed to start left the store free
        pass


async def test_a_port_in_use_is_told_before_any_handler_runs(
    tmp_path: Path, wait_until: Callable[..., Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as soon:
        soon.setattr("perdure.embedded.GRACE_S", 0.1)
        async with perdure.Engine([greeter], data_dir=tmp_path) as engine:
            await engine.send(hang)
            await wait_until(lambda: "hang" in runs, "the handler runs")
    began = runs.count("hang")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        http = ServerConfig(ingress_port=0, admin_port=taken.getsockname()[1])
        async with asyncio.timeout(9):
            with pytest.raises(PortUnavailable):
                async with perdure.Engine([greeter], data_dir=tmp_path, http=http):
                    pass
    assert runs.count("hang") == began


async def test_a_store_in_use_leaves_the_ports_free(tmp_path: Path) -> None:
    ingress, admin = free_ports(2)
    http = ServerConfig(ingress_port=ingress, admin_port=admin)
    async with perdure.Engine(data_dir=tmp_path):
        with pytest.raises(StoreLocked):
            async with perdure.Engine(data_dir=tmp_path, http=http):
                pass
    async with perdure.Engine(data_dir=tmp_path, http=http):
        pass


async def test_rules_hold_for_calls_in_a_scope_and_the_urgent_ones_go_first() -> None:
    ended: list[str] = []
    limited = perdure.Service("Limited")

    @limited.handler()
    async def work(ctx: perdure.Context, name: str) -> None:
        ended.append(name)

    async with perdure.Engine([limited, greeter], data_dir=None) as engine:
        await engine.rules.put(perdure.RulePut("openai/ada", perdure.Limits(concurrency=0)))
        calls = [
            asyncio.create_task(engine.call(work, f"p{priority}", scope="openai", limit_key="ada", priority=priority))
            for priority in (-1, 0, 5)
        ]
        await engine.send(work, "sent", scope="openai", limit_key="ada", priority=100)
        assert await engine.call(greet, "E", scope="openai", limit_key="bob") == "hello E"
        assert ended == []
        [rule] = engine.rules.all()
        put = perdure.RulePut("openai/ada", perdure.Limits(1), precondition=perdure.Matches(rule.version))
        assert [each.version for each in await engine.rules.put(put)] == [2]
        await asyncio.gather(*calls)
        assert ended == ["sent", "p5", "p0", "p-1"]
        with pytest.raises(Conflict):
            await engine.rules.delete(perdure.RuleDeletion("openai/ada", expected_version=1))
        assert await engine.rules.delete(perdure.RuleDeletion("openai/ada")) == ["openai/ada"]


async def test_a_scope_is_a_part_of_what_is_called() -> None:
    async with perdure.Engine([counter], data_dir=None) as engine:
        assert await engine.call(add, 2, key="a", scope="acme") == 2
        assert await engine.call(add, 3, key="a") == 3
        assert await engine.call(add, 3, key="a", scope="acme") == 5


async def test_scopes_limit_keys_and_priorities_that_make_no_sense_are_refused() -> None:
    async with perdure.Engine([greeter], data_dir=None) as engine:
        with pytest.raises(UsageError, match="bad scope"):
            await engine.call(greet, "E", scope="a b")
        with pytest.raises(UsageError, match="limit key 'ada' without a scope"):
            await engine.send(greet, "E", limit_key="ada")
        with pytest.raises(UsageError, match="bad priority 101"):
            await engine.call(greet, "E", priority=101)


async def test_the_rules_of_an_engine_that_is_not_open_say_so() -> None:
    engine = perdure.Engine([greeter], data_dir=None)
    with pytest.raises(EngineStopping, match="async with"):
        engine.rules  # noqa: B018
    async with engine:
        assert engine.rules.all() == []
