"""v2 of a service ships while 1,000 invocations of v1 run: these finish on v1, though the engine is killed once."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from perdure.demo.stage import port_or_free
from tests.e2e.commands import Command, Run, Start

IN_FLIGHT = 1_000
AT_ONCE = 50
SERVICE = """
import perdure

greeter = perdure.Service("Greeter")


@greeter.handler()
async def wait(ctx: perdure.Context, number: int) -> str:
    noted = await ctx.run_typed("note", lambda: "v{version}")
    await ctx.signal("go", type_hint=str)
    return f"{{noted}} {{number}} v{version}"
"""


class Caller:
    """Sends and releases invocations through the ingress, so many at a time."""

    def __init__(self, ingress: str) -> None:
        self.http = httpx.AsyncClient(base_url=ingress, timeout=30, limits=httpx.Limits(max_connections=AT_ONCE))

    async def send(self, numbers: range) -> list[str]:
        async def one(number: int) -> str:
            answer = await self.http.post("/Greeter/wait/send", json=number)
            return answer.json()["invocationId"]

        return await asyncio.gather(*(one(number) for number in numbers))

    async def go(self, invocations: list[str]) -> list[str]:
        async def one(invocation: str) -> str:
            told = await self.http.post(f"/restate/signals/{invocation}/go/resolve", json="now")
            assert told.is_success, told.text
            return (await self.http.get(f"/restate/invocation/{invocation}/attach")).json()

        return await asyncio.gather(*(one(invocation) for invocation in invocations))


def registered(run: Run, engine: Command, url: str) -> str:
    """Registers an endpoint by the command line; the id of the deployment."""
    ended = run("deployments", "register", url, "--yes", engine=engine)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split()[1]


def until(seen: Callable[[], bool]) -> None:
    """Commands are asked until they say so; each takes a while by itself."""
    while not seen():
        pass


def left_on(run: Run, engine: Command, deployment_id: str) -> int:
    ended = run("deployments", "describe", deployment_id, "--json", engine=engine)
    return json.loads(ended.stdout)["left"]


@pytest.mark.timeout(120)
async def test_invocations_finish_on_the_version_on_which_they_began(tmp_path: Path, start: Start, run: Run) -> None:
    urls: list[str] = []
    for version in (1, 2):
        (tmp_path / f"version_{version}.py").write_text(SERVICE.format(version=version))
        urls.append(start("serve", f"version_{version}:greeter", "--port", "0").ready().banner["endpoint"])
    ports = ("--ingress-port", str(port_or_free(0)), "--admin-port", str(port_or_free(0)))
    engine = start("up", *ports).ready()

    first = registered(run, engine, urls[0])
    caller = Caller(engine.banner["ingress"])
    old = await caller.send(range(IN_FLIGHT))
    second = registered(run, engine, urls[1])
    new = await caller.send(range(IN_FLIGHT, IN_FLIGHT + 100))
    await asyncio.to_thread(
        until, lambda: left_on(run, engine, first) == IN_FLIGHT
    )  # of those that were accepted, the last may not have begun yet

    early = await caller.go(old[:300])
    assert run("deployments", "remove", first, engine=engine).returncode == 1
    assert run("deployments", "promote", first, engine=engine).returncode == 0
    back = await caller.send(range(IN_FLIGHT + 100, IN_FLIGHT + 150))
    assert run("deployments", "promote", first, "--undo", engine=engine).returncode == 0

    engine.close()
    engine = start("up", *ports).ready()
    again = await caller.send(range(IN_FLIGHT + 150, IN_FLIGHT + 200))
    removal = run("deployments", "remove", first, "--drain", engine=engine)
    assert "750 invocations" in removal.stdout, removal.stderr
    late = await caller.go(old[300:])
    assert Counter(early + late) == Counter(f"v1 {number} v1" for number in range(IN_FLIGHT))
    assert sorted(await caller.go(back)) == sorted(f"v1 {number} v1" for number in range(1_100, 1_150))
    assert sorted(await caller.go(new + again)) == sorted(
        f"v2 {number} v2" for number in (*range(1_000, 1_100), *range(1_150, 1_200))
    )
    await asyncio.to_thread(
        until, lambda: "no deployment" in run("deployments", "describe", first, engine=engine).stderr
    )
    assert second in run("deployments", "list", engine=engine).stdout
    await caller.http.aclose()
