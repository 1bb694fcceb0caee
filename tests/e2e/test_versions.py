"""v2 of a service ships while 1,000 invocations of v1 run: these finish on v1, though the engine is killed once."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyqwest

from tests.conformance.processes import free_ports
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

    def __init__(self, transport: pyqwest.HTTPTransport, ingress: str) -> None:
        self._client = pyqwest.Client(transport)
        self._ingress = ingress
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def send(self, numbers: range) -> list[str]:
        async def one(number: int) -> str:
            return (await self._ask("POST", "/Greeter/wait/send", number))["invocationId"]

        return await asyncio.gather(*(one(number) for number in numbers))

    async def go(self, invocations: list[str]) -> list[str]:
        async def one(invocation: str) -> str:
            await self._ask("POST", f"/restate/signals/{invocation}/go/resolve", "now")
            return await self._ask("GET", f"/restate/invocation/{invocation}/attach")

        return await asyncio.gather(*(one(invocation) for invocation in invocations))

    async def until_left(self, admin: str, deployment_id: str, count: int | None) -> None:
        """Returns once so many are left on a deployment; None: once it is gone."""
        left: int | None = -1
        while left != count:
            answer = await self._client.get(f"{admin}/deployments/{deployment_id}/drain?limit=0")
            left = json.loads(answer.content)["left"] if answer.status == 200 else None

    async def _ask(self, method: str, path: str, body: object = None) -> Any:
        headers = {} if body is None else {"content-type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        async with self._at_once:
            answer = await self._client.execute(method, self._ingress + path, headers, content)
        assert answer.status < 300, answer.text()
        return json.loads(answer.content) if answer.content else None


def registered(run: Run, engine: Command, url: str) -> str:
    """Registers an endpoint by the command line; the id of the deployment."""
    ended = run("deployments", "register", url, "--yes", engine=engine)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split()[1]


async def test_invocations_finish_on_the_version_on_which_they_began(tmp_path: Path, start: Start, run: Run) -> None:
    urls: list[str] = []
    for version in (1, 2):
        (tmp_path / f"version_{version}.py").write_text(SERVICE.format(version=version))
        urls.append(start("serve", f"version_{version}:greeter", "--port", "0").ready().banner["endpoint"])
    ingress, admin = free_ports(2)
    ports = ("--ingress-port", str(ingress), "--admin-port", str(admin))
    engine = start("up", *ports).ready()

    first = registered(run, engine, urls[0])
    async with pyqwest.HTTPTransport(enable_otel=False) as transport:
        caller = Caller(transport, engine.banner["ingress"])
        old = await caller.send(range(IN_FLIGHT))
        await caller.until_left(engine.banner["admin"], first, IN_FLIGHT)  # those that are accepted begin soon after
        registered(run, engine, urls[1])
        new = await caller.send(range(IN_FLIGHT, IN_FLIGHT + 100))

        early = await caller.go(old[:300])
        assert "700 invocations" in run("deployments", "remove", first, "-y", engine=engine).stderr
        assert run("deployments", "promote", first, engine=engine).returncode == 0
        back = await caller.send(range(IN_FLIGHT + 100, IN_FLIGHT + 150))
        await caller.until_left(engine.banner["admin"], first, 750)
        assert run("deployments", "promote", first, "--undo", engine=engine).returncode == 0

        engine.close()
        engine = start("up", *ports).ready()
    async with pyqwest.HTTPTransport(enable_otel=False) as transport:
        caller = Caller(transport, engine.banner["ingress"])
        removal = run("deployments", "remove", first, "--drain", "--yes", engine=engine)
        assert "750 invocations" in removal.stdout, removal.stderr
        again = await caller.send(range(IN_FLIGHT + 150, IN_FLIGHT + 200))
        late = await caller.go(old[300:] + back)
        await caller.until_left(engine.banner["admin"], first, None)
        latest = await caller.go(new + again)

    numbers = range(IN_FLIGHT + 200)
    on_first = {*numbers[:IN_FLIGHT], *numbers[IN_FLIGHT + 100 : IN_FLIGHT + 150]}
    assert Counter(early + late) == Counter(f"v1 {number} v1" for number in on_first)
    assert Counter(latest) == Counter(f"v2 {number} v2" for number in numbers if number not in on_first)
