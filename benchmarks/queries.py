"""SQL over a store of a million invocations: translated for SQLite, or on DataFusion; beside the engine, or in it.

First, what each statement takes: as `POST /query` runs it, and on DataFusion (`pip install datafusion`), which has no
way into SQLite but to be given the rows as Arrow: it is given only the columns that the statement needs. Then, how late
an event loop is that works 100 us each millisecond while queries run in a thread of its process, or in another process.
docs/adr/0005 holds the figures and the choice.
"""

import argparse
import asyncio
import multiprocessing
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import uvloop
from rich.console import Console
from rich.table import Table

from perdure.engine.store.database import Database
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import new_invocation_id
from perdure.protocol.messages import MessageType
from perdure.server.query.reading import StoreView
from perdure.server.query.results import ArrowEncoder, JsonEncoder
from perdure.server.query.translation import translate

BEGAN_MS = 1_795_000_000_000
NOW_MS = BEGAN_MS + 60_000_000
TABLE = "sys_invocation"
STATEMENTS = {
    "one by its id": ("select * from sys_invocation where id = '{id}'", None),
    "count by status": ("select status, count(*) from sys_invocation group by status", ["status"]),
    "suspended, 100 of them": ("select id from sys_invocation where status = 'suspended' limit 100", ["id", "status"]),
    "suspended, counted": ("select count(*) from sys_invocation where status = 'suspended'", ["status"]),
    "newest 100 of a service": (
        "select id from sys_invocation where target_service_name = 'Agent3' order by created_at desc, id limit 100",
        ["id", "target_service_name", "created_at"],
    ),
    "newest 100 of all": (
        "select id from sys_invocation order by created_at desc, id limit 100",
        ["id", "created_at"],
    ),
    "failures by hour": (
        "select date_trunc('hour', completed_at) as hour, count(*) as n from sys_invocation"
        " where completion_result = 'failure' group by 1 order by 1",
        ["completed_at", "completion_result"],
    ),
    "oldest by handler (`services status`)": (
        "select target_handler_name, status, min(created_at) as oldest_at, first_value(id order by created_at) as id"
        " from sys_invocation group by target_handler_name, status",
        ["target_handler_name", "status", "created_at", "id"],
    ),
    "100,000 whole rows": ("select * from sys_invocation limit 100000", None),
}


def fill(folder: Path, count: int) -> Path:
    """A store of `count` invocations of two entries each; 98 of 100 have ended."""
    database = Database(folder)
    writing: Any = database.writing
    writing.execute("pragma synchronous = off")
    success = pb.OutputCommandMessage(value=pb.Value(content=b'"a sentence of forty letters or a few more"'))
    failure = pb.OutputCommandMessage(failure=pb.Failure(code=500, message="no such model"))
    outputs = [failure.SerializeToString(), *[success.SerializeToString()] * 9]
    question = pb.InputCommandMessage(value=pb.Value(content=b'{"question": "what is the answer to this?"}'))
    entries = [(0, MessageType.INPUT, question.SerializeToString()), (1, MessageType.OUTPUT, outputs[1])]
    chance = random.Random(1)

    def invocations() -> Iterator[tuple[object, ...]]:
        for n in range(1, count + 1):
            status = "completed" if chance.random() < 0.98 else chance.choice(["suspended", "suspended", "paused"])
            at = BEGAN_MS + n * 50
            done = status == "completed"
            yield (
                n, new_invocation_id(), f"Agent{n % 20}", None if n % 2 else f"user-{n % 5000}",
                "run" if n % 3 else "answer", "SERVICE" if n % 2 else "VIRTUAL_OBJECT", status, at, at + 90,
                at + 90 if done else None, 0, 0, None if n % 4 else f"key-{n}", "dp_1", 7,
                outputs[n % 10] if done else None,
            )  # fmt: skip

    columns = (
        "number, id, service, key, handler, service_type, status, created_at, modified_at, completed_at, execute_at,"
        " place, idempotency_key, deployment_id, protocol_version, output"
    )
    writing.execute("begin")
    writing.executemany(f"insert into invocation ({columns}) values ({', '.join('?' * 16)})", invocations())
    writing.executemany(
        "insert into journal values (?, ?, ?, ?, ?)",
        ((n, index, int(type), payload, BEGAN_MS) for n in range(1, count + 1) for index, type, payload in entries),
    )
    writing.execute("commit")
    writing.execute("pragma wal_checkpoint(truncate)")
    path = Path(database.path)
    database.close()
    return path


def median(do: Callable[[], object], rounds: int) -> float:
    """Milliseconds; the first time warms up."""
    took: list[float] = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        do()
        took.append((time.perf_counter() - began) * 1000)
    return sorted(took[1:])[rounds // 2]


def ours(view: StoreView, sql: str, encoder_of: Callable[..., Any]) -> int:
    translated = translate(sql, NOW_MS)
    encoder = encoder_of(translated.outputs)
    size = sum(len(encoder.rows(batch)) for batch in view.batches(translated.sql))
    return size + len(encoder.end())


def on_datafusion(view: StoreView, sql: str, columns: list[str] | None) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Giving it the rows, and running the statement when it has them."""
    from datafusion import SessionContext
    from pyarrow import ipc

    context = SessionContext()

    def load() -> None:
        translated = translate(f"select {', '.join(columns) if columns else '*'} from {TABLE}", NOW_MS)
        encoder = ArrowEncoder(translated.outputs)
        parts = [encoder.rows(batch) for batch in view.batches(translated.sql)]
        table = ipc.open_stream(b"".join([*parts, encoder.end()])).read_all()
        if context.table_exist(TABLE):
            context.deregister_table(TABLE)
        context.register_record_batches(TABLE, [table.to_batches()])

    return load, lambda: context.sql(sql).collect()


def statements(path: Path, rounds: int, datafusion: bool) -> Table:
    table = Table("statement", "SQLite, JSON ms", "SQLite, Arrow ms", "DataFusion: load ms", "run ms")
    view = StoreView(str(path), lambda _: None)
    connection: Any = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    number = connection.execute("select max(number) * 7 / 9 from invocation").fetchone()[0]
    id = connection.execute("select id from invocation where number = ?", (number,)).fetchone()[0]
    for name, (statement, columns) in STATEMENTS.items():
        sql = statement.format(id=id)
        figures = [
            median(lambda sql=sql, encoder=encoder: ours(view, sql, encoder), rounds)
            for encoder in (JsonEncoder, ArrowEncoder)
        ]
        if datafusion and columns is not None:
            load, run = on_datafusion(view, sql, columns)
            figures += [median(load, 1), median(run, rounds)]
        table.add_row(name, *(f"{figure:,.1f}" for figure in figures))
    return table


QUERIES = {
    "whole scans": "select status, count(*) from sys_invocation group by status",
    "scans through Python functions": "select count(*) from sys_invocation where sha256(id) = 'x'",
    "100,000 rows as JSON": "select * from sys_invocation limit 100000",
    "a regular expression without end": f"select '{'a' * 60}b' ~ '^(a+)+$' as x",
}


def query_for_ever(path: str, sql: str) -> None:
    view = StoreView(path, lambda _: None)
    while True:
        ours(view, sql, JsonEncoder)


async def lags(seconds: float) -> list[float]:
    late: list[float] = []
    ends_at = time.perf_counter() + seconds
    while time.perf_counter() < ends_at:
        began = time.perf_counter()
        await asyncio.sleep(0.001)
        late.append((time.perf_counter() - began - 0.001) * 1000)
        sum(range(4000))  # as long as an event takes
    return sorted(late)


def lag_beside(path: str, sql: str | None, kind: str, seconds: float, queue: Any) -> None:
    """In a process of its own, which may never get its lock back."""
    if sql is not None and kind == "thread":
        threading.Thread(target=query_for_ever, args=(path, sql), daemon=True).start()
    queue.put(uvloop.run(lags(seconds)))


def lag_table(path: Path, seconds: float) -> Table:
    table = Table("queries", "where", "turns", "p50 ms", "p99 ms", "max ms")
    context = multiprocessing.get_context("spawn")
    for name, sql in [("none", None), *QUERIES.items()]:
        for kind in ("thread", "process") if sql is not None else ("",):
            queue = context.Queue()
            loop = context.Process(target=lag_beside, args=(str(path), sql, kind, seconds, queue), daemon=True)
            beside = context.Process(target=query_for_ever, args=(str(path), sql), daemon=True)
            if kind == "process":
                beside.start()
                time.sleep(1)
            loop.start()
            try:
                late = queue.get(timeout=seconds + 10)
                figures = (
                    f"{len(late)}",
                    *(f"{late[int(len(late) * part)]:.2f}" for part in (0.5, 0.99)),
                    f"{late[-1]:.1f}",
                )
            except Exception:  # noqa: BLE001 - queue.Empty of another process: the loop never ran again
                figures = ("0", "for ever", "for ever", "for ever")
            loop.kill()
            if kind == "process":
                beside.kill()
            table.add_row(name, kind, *figures)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--invocations", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    try:
        import datafusion

        has_datafusion = bool(datafusion.__version__)
    except ImportError:
        has_datafusion = False
    console = Console(width=140)
    with tempfile.TemporaryDirectory(prefix="perdure-queries-") as folder:
        began = time.perf_counter()
        path = fill(Path(folder), options.invocations)
        console.print(
            f"{options.invocations:,} invocations, {path.stat().st_size / 1e6:,.0f} MB, "
            f"made in {time.perf_counter() - began:.0f} s"
            f" in {time.perf_counter() - began:.0f} s"
        )
        console.print(statements(path, options.rounds, has_datafusion))
        console.print(lag_table(path, options.seconds))


if __name__ == "__main__":
    main()
