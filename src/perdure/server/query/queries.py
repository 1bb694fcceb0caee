"""Queries over a running engine: each in a process of its own, bounded in number, time, rows, bytes and memory."""

import asyncio
import logging
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Struct

from perdure.engine.engine import Engine
from perdure.errors import PerdureError
from perdure.server.query.live import live_rows
from perdure.server.query.problems import BadQuery, QueryFailed, TooManyQueries

logger = logging.getLogger(__name__)

_LENGTH = 4


class QueryLimits(Struct, frozen=True):
    """What a query may take before it is cut off, and how many may run at once."""

    at_once: int = 4
    timeout_s: float = 30.0
    rows_max: int = 1_000_000
    bytes_max: int = 64 * 1024 * 1024
    memory_bytes: int = 1024 * 1024 * 1024


class Queries:
    """Runs queries. Their process is started with the first, and kept for the next; `close` ends it."""

    def __init__(self, engine: Engine, clock: Callable[[], int], limits: QueryLimits | None = None) -> None:
        self._engine = engine
        self._clock = clock
        self._limits = limits or QueryLimits()
        self._idle: list[Process] = []
        self._running = 0

    async def run(self, sql: str, *, as_json: bool, named: bool = False) -> list[bytes]:
        """The body of the answer, in parts; `named`: JSON names the columns. A caller who gives up ends the query.

        Raises:
            BadQuery: the query is wrong, or was cut off; the message says by what.
            QueryFailed: it met a bug of ours, or its process could not start.
            TooManyQueries: as many run as may.
        """
        limits = self._limits
        if self._running >= limits.at_once:
            raise TooManyQueries(
                f"{limits.at_once} queries run already, the limit (at_once of QueryLimits): ask again in a moment"
            )
        self._running += 1
        try:
            async with asyncio.timeout(limits.timeout_s):
                return await self._run(sql, as_json, named)
        except TimeoutError:
            raise BadQuery(
                f"the query was cut off after {limits.timeout_s:g} s, the limit (--query-timeout of perdure up, "
                "timeout_s of QueryLimits): narrow it by id, status or LIMIT, or raise the limit"
            ) from None
        finally:
            self._running -= 1

    async def close(self) -> None:
        """Ends the process that waits for the next query. Call it when all that ran has been answered or cancelled."""
        while self._idle:
            await _end(self._idle.pop())

    async def _run(self, sql: str, as_json: bool, named: bool) -> list[bytes]:
        process = await self._process()
        whole = False
        try:
            limits = self._limits
            _write(process, [sql, self._clock(), as_json, named, limits.rows_max, limits.bytes_max])
            parts: list[bytes] = []
            while True:
                match await _read(process):
                    case ["part", bytes() as part]:
                        parts.append(part)
                    case ["need", names]:
                        _write(process, [await live_rows(self._engine, names)])
                    case ["reasons", numbers]:
                        _write(process, [await self._reasons(numbers)])
                    case ["bad", str() as message]:
                        whole = True
                        raise BadQuery(message)
                    case ["bug", str() as raised]:
                        logger.error("A query failed\n%s", raised, extra={"action": "query_failed", "query": sql})
                        raise QueryFailed("the query met a bug of the engine: its log says more")
                    case ["done", _]:
                        whole = True
                        return parts
                    case other:
                        raise AssertionError(f"a query's process said {other}")
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise self._lost(await process.wait()) from error
        finally:
            if whole and not self._idle:
                self._idle.append(process)
            else:
                await asyncio.shield(_end(process))

    def _lost(self, exit_code: int) -> PerdureError:
        """What to say of a process that ended without an answer."""
        limit = f"{self._limits.memory_bytes} bytes, memory_bytes of QueryLimits"
        if exit_code < 0:  # a library that is given no memory aborts, and the kernel kills who takes too much
            ended_by = _signal_name(-exit_code)
            return BadQuery(f"the query's process was ended by {ended_by}, most likely of too little memory ({limit})")
        logger.error("The process of a query ended", extra={"action": "query_process_ended", "exit_code": exit_code})
        return QueryFailed(
            f"the query's process ended with exit code {exit_code}: the engine's standard error says why. If it is a "
            f"MemoryError, raise the limit ({limit})"
        )

    async def _reasons(self, numbers: list[int]) -> list[str | None]:
        """The sentence on each of these invocations. The loop's other tasks get their turn between any two."""
        sentences: list[str | None] = []
        for number in numbers:
            sentences.append(self._engine.introspection.waiting_reason(number))
            await asyncio.sleep(0)
        return sentences

    async def _process(self) -> Process:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None:
                return process
        arguments = [str(self._engine.introspection.store), str(self._limits.memory_bytes)]
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "perdure.server.query.worker", *arguments, stdin=PIPE, stdout=PIPE
        )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one without a name
        return f"signal {number}"


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    if process.stdin is not None:
        process.stdin.close()
    await process.wait()


def _write(process: Process, items: list[Any]) -> None:
    assert process.stdin is not None
    payload = msgspec.msgpack.encode(items)
    process.stdin.write(len(payload).to_bytes(_LENGTH, "big") + payload)


async def _read(process: Process) -> list[Any]:
    assert process.stdout is not None
    head = await process.stdout.readexactly(_LENGTH)
    return msgspec.msgpack.decode(await process.stdout.readexactly(int.from_bytes(head, "big")))
