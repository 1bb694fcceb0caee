"""What the official Python client does, by name: `python -m tests.peers.python_client SCENARIO INGRESS_URL KEY`.

Runs in the peers' environment, and says what came of it as JSON.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import restate
from restate.client_types import HttpError

from tests.conformance import services

Scenario = Callable[[Any, str], Awaitable[Any]]


async def eventually(ask: Callable[[], Awaitable[Any]]) -> Any:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if (answer := await ask()) is not None:
            return answer
        await asyncio.sleep(0.05)
    raise TimeoutError("not within 15 s")


async def total(client: Any, key: str, wanted: int) -> int:
    async def ask() -> int | None:
        return wanted if await client.object_call(services.total, key, None) == wanted else None

    return await eventually(ask)


async def calls(client: Any, key: str) -> Any:
    return [
        await client.service_call(services.echo, "hello"),
        await client.object_call(services.add, key, 3),
        await client.generic_call("Ledger", "add", b"4", key=key, headers={"Content-Type": "application/json"}),
    ]


async def headers(client: Any, key: str) -> Any:
    return await client.service_call(services.headers, None, headers={"x-test-tenant": "blue"})


async def final_error(client: Any, key: str) -> Any:
    try:
        return await client.service_call(services.fails, 418)
    except HttpError as error:
        return [error.status_code, json.loads(error.body or "null")["message"]]


async def idempotent_calls(client: Any, key: str) -> Any:
    return [await client.object_call(services.add, key, 5, idempotency_key=key) for _ in range(2)]


async def sends(client: Any, key: str) -> Any:
    handles = [
        await client.service_send(services.nap, 5, idempotency_key=key),
        await client.generic_send(
            "Plain", "nap", b"5", idempotency_key=key, headers={"Content-Type": "application/json"}
        ),
    ]
    await client.object_send(services.add, key, 6)
    return {"same": handles[0].invocation_id == handles[1].invocation_id, "total": await total(client, key, 6)}


async def decide(client: Any, key: str) -> str:
    async def claim() -> Any:
        return (await client.workflow_call(services.state_of, key, None))[0]

    await eventually(claim)
    return await client.workflow_call(services.decide, key, "yes")


async def workflow(client: Any, key: str) -> Any:
    handle = await client.workflow_send(services.run, key, "claim")
    return [handle.invocation_id[:4], await decide(client, key)]


async def workflow_call(client: Any, key: str) -> Any:
    running = asyncio.create_task(client.workflow_call(services.run, key, "claim"))
    await decide(client, key)
    return await running


async def scopes(client: Any, key: str) -> Any:
    scope = client.scope("blue")
    return [
        await client.object_call(services.add, key, 1),
        await scope.object_call(services.add, key, 10, limit_key="tenant/user"),
        await client.generic_call(
            "Ledger", "add", b"10", key=key, scope="blue", headers={"Content-Type": "application/json"}
        ),
        await client.object_call(services.total, key, None),
        await scope.service_call(services.echo, "scoped", limit_key="tenant"),
    ]


async def scoped_sends(client: Any, key: str) -> Any:
    scope = client.scope("blue")
    await scope.object_send(services.add, key, 10, limit_key="tenant")
    service = await scope.service_send(services.nap, 5)
    flow = await scope.workflow_send(services.run, key, "claim")
    elsewhere = await client.workflow_send(services.run, key, "claim")

    async def moved() -> Any:
        return await scope.object_call(services.total, key, None)

    return {
        "moved": await eventually(moved),
        "service": service.invocation_id[:4],
        "different": flow.invocation_id != elsewhere.invocation_id,
        "unscoped": await client.object_call(services.total, key, None),
    }


async def delayed_sends(client: Any, key: str) -> Any:
    begun = time.monotonic()
    await client.object_send(services.add, key, 7, send_delay=timedelta(milliseconds=300))
    await total(client, key, 7)
    return time.monotonic() - begun >= 0.3


async def main(scenario: str, url: str, key: str) -> None:
    run: Scenario = globals()[scenario]
    async with restate.create_client(url) as client:
        sys.stdout.write(json.dumps(await run(client, key), default=lambda value: value.decode()))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
