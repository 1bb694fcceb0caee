"""A million invocations that wait for a slot: what they cost in memory, and what each start costs beside them."""

import argparse
import asyncio
import multiprocessing
import resource
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from perdure.engine.config import EngineConfig
from perdure.engine.engine import Engine
from perdure.engine.events import Target
from perdure.engine.flow.lanes import Lane, Place
from perdure.engine.flow.rules import Limits, RuleBook, RulePut
from perdure.engine.flow.slots import Slots
from perdure.protocol.discovery import HandlerManifest, Manifest, ServiceManifest
from perdure.transport.connection import InvokeRequest, Receiver, Sender

RULES = (RulePut("*", Limits(100)), RulePut("*/*", Limits(1)), RulePut("service:Agent", Limits(500)))
EVENTS = 20_000
IN_FLIGHT = 500


def lines_of(shape: str, count: int) -> Iterator[Lane]:
    """The lanes in which so many wait, one after the other."""
    for number in range(count):
        match shape:
            case "one lane":
                yield Lane("Agent", "run", "dp_1")
            case "10,000 lanes":
                yield Lane("Agent", "run", "dp_1", f"tenant-{number % 100}", f"user-{number // 100 % 100}")
            case _:
                yield Lane("Agent", "run", "dp_1", f"tenant-{number % 1000}", f"user-{number}")


def queue(shape: str, count: int) -> None:
    """Have so many wait in the slots alone, then let some through; prints one row."""
    slots = Slots(1_000, count, RuleBook().put(RULES, 0)[0])
    before = _rss_bytes()
    started_at = time.perf_counter()
    for number, lane in enumerate(lines_of(shape, count), 1):
        slots.queue(number, Place(lane))
    queued_s = time.perf_counter() - started_at
    bytes_each = (_rss_bytes() - before) / count
    running: deque[int] = deque()
    while (number := slots.take(0)) is not None:
        running.append(number)
    lanes = lines_of(shape, EVENTS)
    started_at = time.perf_counter()
    for another, lane in enumerate(lanes, count + 1):
        slots.queue(another, Place(lane))
        slots.release(running.popleft())
        number = slots.take(0)
        assert number is not None, "a slot is free, and nobody takes it"
        running.append(number)
    turn_us = (time.perf_counter() - started_at) / EVENTS * 1e6
    print(
        f"{shape:>16}  {count:>9,} waiting  {bytes_each * count / 1e6:6.0f} MB ({bytes_each:4.0f} bytes each)  "
        f"to queue one {queued_s / count * 1e6:4.1f} us  one comes, one ends, one starts {turn_us:5.1f} us",
        flush=True,
    )


class Nowhere:
    """The way to a service at which nothing ever arrives."""

    async def discover(self) -> Manifest:
        handlers = [HandlerManifest(name="run")]
        return Manifest(
            protocol_mode="BIDI_STREAM",
            min_protocol_version=5,
            max_protocol_version=7,
            services=[ServiceManifest(name="Agent", ty="SERVICE", handlers=handlers)],
        )

    def open(self, request: InvokeRequest, receiver: Receiver) -> Sender:
        raise AssertionError("nothing may start under a limit of 0")

    async def close(self) -> None:
        pass


async def engine(count: int) -> None:
    """Have so many wait in an engine with its store, kill nothing, and open the store again."""
    with tempfile.TemporaryDirectory(prefix="perdure-backlog-") as folder:
        config = EngineConfig(data_dir=Path(folder), backlog_max=count)
        first = Engine(config)
        await first.start(Nowhere())
        await first.rules.put(RulePut("service:Agent", Limits(0)))
        before = _rss_bytes()
        started_at = time.perf_counter()
        left = iter(range(count))

        async def send() -> None:
            for _ in left:
                await first.send(Target("Agent", "run"), b'{"question": "Where is my parcel?"}')

        await asyncio.gather(*(send() for _ in range(IN_FLIGHT)))
        elapsed_s = time.perf_counter() - started_at
        print(
            f"an engine with {count:,} waiting: {(_rss_bytes() - before) / 1e6:.0f} MB more, {count / elapsed_s:,.0f}/s"
        )
        await first.stop(0)
        started_at = time.perf_counter()
        second = Engine(config)
        await second.start(Nowhere())
        print(f"the next engine on its store is ready after {time.perf_counter() - started_at:.1f} s")
        await second.stop(0)


def _rss_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--engine", type=int, default=100_000, help="how many wait in a whole engine; 0: none")
    arguments = parser.parse_args()
    for shape in ("one lane", "10,000 lanes", "a lane for each"):
        for count in (arguments.count // 100, arguments.count):
            child = multiprocessing.Process(target=queue, args=(shape, count))  # memory of one is not another's
            child.start()
            child.join()
            assert child.exitcode == 0
    if arguments.engine:
        asyncio.run(engine(arguments.engine))


if __name__ == "__main__":
    main()
