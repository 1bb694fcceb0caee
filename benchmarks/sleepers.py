"""100,000 invocations asleep: what the engine holds in memory for them, and how soon it is ready after a `kill -9`."""

import argparse
import asyncio
import os
import shutil
import signal
import sqlite3
import tempfile
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import perdure

from .load import measure
from .processes import REPOSITORY, Processes, processes
from .systems import perdure_up

SUBMIT_S = 5.0  # between two looks at how many there are
ASLEEP_S_MAX = 600.0
RSS_BYTES_MAX = 300e6
READY_S_MAX = 5.0

sleeper = perdure.Service("Sleeper", inactivity_timeout=timedelta(seconds=1))


@sleeper.handler()
async def nap(ctx: perdure.Context) -> str:
    """Sleeps for longer than the benchmark runs."""
    await ctx.sleep(timedelta(days=30))
    return "good morning"


app = perdure.app([sleeper])


async def run(folder: Path, count: int) -> bool:
    """Put them to sleep, kill the engine, start it again; whether both aims were met."""
    started_at = time.monotonic()
    async with processes(folder) as group:
        ingress_url, _ = await perdure_up(group, "benchmarks.sleepers:app")
        asleep = await _put_to_sleep(ingress_url, folder / "store" / "perdure.db", count)
        elapsed_s = time.monotonic() - started_at
        print(f"{asleep} asleep after {elapsed_s:.0f} s; the engine holds {_rss(group)} having put them there")
        os.killpg(group.newest.pid, signal.SIGKILL)
        await group.newest.wait()

        started_at = time.monotonic()
        await perdure_up(group, "benchmarks.sleepers:app")
        ready_s = time.monotonic() - started_at
        rss_bytes = group.rss_bytes()
        print(f"restart to ready {ready_s:.2f} s (at most {READY_S_MAX} wanted)")
        print(f"RSS after the restart {rss_bytes / 1e6:.0f} MB (at most {RSS_BYTES_MAX / 1e6:.0f} wanted)")
        print(f"store {sum(file.stat().st_size for file in (folder / 'store').iterdir()) / 1e6:.0f} MB")
    return ready_s <= READY_S_MAX and rss_bytes <= RSS_BYTES_MAX


async def _put_to_sleep(ingress_url: str, store: Path, count: int) -> int:
    while (accepted := sum(_by_status(store).values())) < count:
        seen = await measure(
            f"{ingress_url}/Sleeper/nap/send", b"", None, connections=32, seconds=SUBMIT_S, warm_up_s=0
        )
        if seen.errors:
            raise RuntimeError(f"sending failed: {seen.examples}")
        print(f"  {accepted + seen.answered} accepted, {seen.throughput:.0f}/s", flush=True)
    deadline = time.monotonic() + ASLEEP_S_MAX
    while (by_status := _by_status(store)).keys() != {"suspended"}:
        if time.monotonic() > deadline:
            raise RuntimeError(f"not all are asleep: {by_status}")
        await asyncio.sleep(1)
    return by_status["suspended"]


def _by_status(store: Path) -> dict[str, int]:
    """How many invocations are in which status, as it is on disk."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        return dict(database.execute("select status, count(*) from invocation group by status"))


def _rss(group: Processes) -> str:
    return f"{group.rss_bytes() / 1e6:.0f} MB"


def main() -> None:
    """Read the command line, run in a folder of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sleepers", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    options = parser.parse_args()
    (REPOSITORY / ".cache").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="perdure-sleepers-", dir=REPOSITORY / ".cache"))
    try:
        met = asyncio.run(run(folder, options.count))
    finally:
        shutil.rmtree(folder)
    raise SystemExit(0 if met else 1)


if __name__ == "__main__":
    main()
