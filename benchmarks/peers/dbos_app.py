"""The workloads as DBOS workflows and steps on SQLite, behind a plain ASGI app.

Run as `python -m benchmarks.peers.dbos_app FOLDER PORT`. The store is in WAL mode, which DBOS would not choose by
itself and which suits it. No `counter`: DBOS has no keyed state.
"""

import json
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn
from dbos import DBOS, DBOSConfig


@DBOS.workflow()
async def echo(message: str) -> str:
    return message


@DBOS.step()
async def choose() -> str:
    return "billing"


@DBOS.step()
async def work() -> str:
    return "refunded"


@DBOS.workflow()
async def specialist(message: str) -> str:
    return await work()


@DBOS.workflow()
async def router(message: str) -> str:
    agent = await choose()
    return f"{agent}: {await specialist(message)}"


@DBOS.step()
async def step(value: int) -> int:
    return value


@DBOS.workflow()
async def ten(message: str) -> int:
    return sum([await step(number) for number in range(10)])


@DBOS.workflow()
async def leaf(number: int) -> int:
    return number


@DBOS.workflow()
async def hundred(message: str) -> int:
    handles = [await DBOS.start_workflow_async(leaf, number) for number in range(100)]
    return sum([await handle.get_result() for handle in handles])


ROUTES: dict[str, Callable[[str], Awaitable[Any]]] = {
    "/Echo/echo": echo,
    "/Router/answer": router,
    "/Steps/ten": ten,
    "/Fanout/hundred": hundred,
}


async def app(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    """Body in, workflow, answer out."""
    assert scope["type"] == "http"
    if scope["path"] == "/health":
        answer: Any = "up"
    else:
        body = b""
        while True:
            event = await receive()
            body += event["body"]
            if not event.get("more_body"):
                break
        answer = await ROUTES[scope["path"]](json.loads(body))
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]},
    )
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


def main() -> None:
    """Open the store and serve."""
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    database = folder / "dbos.sqlite"
    with sqlite3.connect(database) as connection:
        connection.execute("pragma journal_mode = wal")
    config: DBOSConfig = {
        "name": "benchmark",
        "system_database_url": f"sqlite:///{database}",
        "log_level": "WARNING",
    }
    DBOS(config=config)
    DBOS.launch()
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", lifespan="off")


if __name__ == "__main__":
    main()
