"""The limit: the same rows, in commits grouped the same way, and nothing else.

Run as `python -m benchmarks.peers.bare FOLDER PORT`. No replay, no retry, no recovery, no types: each request writes
the rows that a durable engine must have written before it goes on, waits for their commit, and goes on. A result
faster than this one either writes less or waits less.
"""

import asyncio
import os
import queue
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import apsw
import uvicorn

SCHEMA = """
    pragma journal_mode = wal;
    pragma synchronous = full;
    create table invocation (id text primary key, target text, status text) without rowid;
    create table journal (
        invocation_id text, entry integer, type integer, payload blob, primary key (invocation_id, entry)
    ) without rowid;
    create table state (key text primary key, value blob) without rowid;
"""
BEGUN, ENTRY, ENDED, STATE = (
    "insert into invocation values (?, ?, 'running')",
    "insert into journal values (?, ?, ?, ?)",
    "update invocation set status = 'completed' where id = ?",
    "insert or replace into state values (?, ?)",
)
Row: TypeAlias = tuple[str, tuple[Any, ...]]
INPUT, OUTPUT, RUN, RUN_RESULT, CALL, CALL_ID, CALL_RESULT, GET, SET = range(9)
PAYLOAD = b"a typical payload is about as long as this one is"


class Writer:
    """A thread that commits; while it commits one group, the next gathers."""

    def __init__(self, path: Path) -> None:
        self._database = apsw.Connection(str(path))
        for _ in self._database.execute(SCHEMA):
            pass
        self._waiting = queue.SimpleQueue[tuple[Sequence[Row], asyncio.Future[None]]]()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, daemon=True).start()

    def commit(self, *rows: Row) -> asyncio.Future[None]:
        committed: asyncio.Future[None] = self._loop.create_future()
        self._waiting.put((rows, committed))
        return committed

    def _run(self) -> None:
        while True:
            group = [self._waiting.get()]
            while not self._waiting.empty():
                group.append(self._waiting.get())
            by_statement: dict[str, list[tuple[Any, ...]]] = {}
            for rows, _ in group:
                for statement, values in rows:
                    by_statement.setdefault(statement, []).append(values)
            self._database.execute("begin immediate")
            for statement, many in by_statement.items():
                self._database.executemany(statement, many)
            self._database.execute("commit")
            self._loop.call_soon_threadsafe(_resolve, [committed for _, committed in group])


def _resolve(commits: Sequence[asyncio.Future[None]]) -> None:
    for committed in commits:
        if not committed.done():
            committed.set_result(None)


def _begun(target: str) -> tuple[str, tuple[Row, Row]]:
    id = os.urandom(16).hex()
    return id, ((BEGUN, (id, target)), _entry(id, 0, INPUT))


def _entry(id: str, number: int, type: int) -> Row:
    return ENTRY, (id, number, type, PAYLOAD)


class Bare:
    """One function a workload: the rows, and where a commit must be waited for."""

    def __init__(self, writer: Writer) -> None:
        self._commit = writer.commit
        self._total = 0
        self.routes: dict[str, Callable[[], Awaitable[bytes]]] = {
            "/Echo/echo": self.echo,
            "/Router/answer": self.router,
            "/Steps/ten": self.steps10,
            "/Counter/hot/add": self.counter,
            "/Fanout/hundred": self.fanout,
        }

    async def echo(self) -> bytes:
        id, begun = _begun("Echo/echo")
        await self._commit(*begun)
        await self._commit(_entry(id, 1, OUTPUT), (ENDED, (id,)))
        return b'"hello"'

    async def router(self) -> bytes:
        caller, begun = _begun("Router/answer")
        await self._commit(*begun)
        await self._commit(_entry(caller, 1, RUN), _entry(caller, 2, RUN_RESULT))
        callee, callee_begun = _begun("Specialist/run")
        await self._commit(_entry(caller, 3, CALL), _entry(caller, 4, CALL_ID), *callee_begun)
        await self._commit(_entry(callee, 1, RUN), _entry(callee, 2, RUN_RESULT))
        await self._commit(_entry(callee, 3, OUTPUT), (ENDED, (callee,)), _entry(caller, 5, CALL_RESULT))
        await self._commit(_entry(caller, 6, OUTPUT), (ENDED, (caller,)))
        return b'"billing: refunded"'

    async def steps10(self) -> bytes:
        id, begun = _begun("Steps/ten")
        await self._commit(*begun)
        for number in range(1, 21, 2):
            await self._commit(_entry(id, number, RUN), _entry(id, number + 1, RUN_RESULT))
        await self._commit(_entry(id, 21, OUTPUT), (ENDED, (id,)))
        return b"45"

    async def counter(self) -> bytes:
        id, begun = _begun("Counter/hot/add")
        await self._commit(*begun)
        self._total += 1  # the next may go on at once: commits keep their order
        total = str(self._total).encode()
        await self._commit(
            _entry(id, 1, GET), _entry(id, 2, SET), (STATE, ("hot", total)), _entry(id, 3, OUTPUT), (ENDED, (id,))
        )
        return total

    async def fanout(self) -> bytes:
        caller, begun = _begun("Fanout/hundred")
        await self._commit(*begun)
        await asyncio.gather(*[self._leaf(caller, number) for number in range(100)])
        await self._commit(_entry(caller, 301, OUTPUT), (ENDED, (caller,)))
        return b"4950"

    async def _leaf(self, caller: str, number: int) -> None:
        callee, begun = _begun("Leaf/leaf")
        entry = 1 + number * 3
        await self._commit(_entry(caller, entry, CALL), _entry(caller, entry + 1, CALL_ID), *begun)
        await self._commit(_entry(callee, 1, OUTPUT), (ENDED, (callee,)), _entry(caller, entry + 2, CALL_RESULT))


class App:
    """The ASGI edge."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        if scope["type"] == "lifespan":
            await receive()
            self._bare = Bare(Writer(self._folder / "bare.sqlite"))
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        body = b"up"
        if scope["path"] != "/health":
            while (await receive()).get("more_body"):
                pass
            body = await self._bare.routes[scope["path"]]()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Serve on the given port."""
    uvicorn.run(App(Path(sys.argv[1])), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
