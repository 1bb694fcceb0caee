"""The one load generator: so many connections, each with one request in flight; prints what it saw as JSON.

Runs as its own process. Raw asyncio protocols and a C parser, so that it takes little of the cores it shares.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httptools
import uvloop

ERRORS_KEPT = 3  # enough to see what is wrong
DRAIN_S_MAX = 30.0  # for the last answers, so that the next load finds the system idle


@dataclass(frozen=True)
class Seen:
    """What one run of load saw. Latencies are in ms."""

    requests: int
    """Answered well, after the warm-up and before the end."""
    answered: int
    """All answers, those before and after too."""
    errors: int
    throughput: float
    p50_ms: float
    p99_ms: float
    examples: Sequence[str] = ()


class Caller(asyncio.Protocol):
    """One connection: sends the request, reads the whole answer, sends again."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        self._load.record(self._sent_at, now, self._parser.get_status_code(), self._body)
        if now < self._load.ends_at:
            self._body = b""
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.on_lost(exc)

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._load.request)


class Load:
    """Drives all connections for a while and keeps the latencies; the warm-up counts only towards errors."""

    def __init__(
        self, request: bytes, answer: bytes | None, connections: int, warm_up_s: float, seconds: float
    ) -> None:
        self.request = request
        self._answer = answer
        self._open = connections
        self._starts_at = time.perf_counter() + warm_up_s
        self.ends_at = self._starts_at + seconds
        self._answered = 0
        self._latencies: list[float] = []
        self._errors: list[str] = []
        self.done = asyncio.Event()

    def record(self, sent_at: float, now: float, status: int, body: bytes) -> None:
        self._answered += 1
        if not 200 <= status < 300 or (self._answer is not None and body != self._answer):
            self._errors.append(f"{status} {body[:200]!r}")
        elif self._starts_at <= now < self.ends_at:
            self._latencies.append(now - sent_at)

    def on_lost(self, error: Exception | None) -> None:
        if time.perf_counter() < self.ends_at:
            self._errors.append(f"connection lost: {error}")
        self._open -= 1
        if self._open == 0:
            self.done.set()

    def seen(self) -> Seen:
        seconds = self.ends_at - self._starts_at
        ordered = sorted(self._latencies)
        return Seen(
            requests=len(ordered),
            answered=self._answered,
            errors=len(self._errors),
            throughput=len(ordered) / seconds,
            p50_ms=_percentile_ms(ordered, 0.50),
            p99_ms=_percentile_ms(ordered, 0.99),
            examples=self._errors[:ERRORS_KEPT],
        )


def _percentile_ms(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else math.nan


async def send_load(
    url: str, body: bytes, answer: bytes | None, *, connections: int, seconds: float, warm_up_s: float
) -> Seen:
    """Send `body` to `url` over and over."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    head = (
        f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    load = Load(head.encode() + body, answer, connections, warm_up_s, seconds)
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: Caller(load), parts.hostname, parts.port)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(load.done.wait(), warm_up_s + seconds + DRAIN_S_MAX)
    return load.seen()


async def measure(
    url: str, body: bytes, answer: bytes | None, *, connections: int, seconds: float, warm_up_s: float = 1.0
) -> Seen:
    """As `send_load`, in a process of its own."""
    arguments: dict[str, Any] = {
        "--url": url,
        "--body": body.decode(),
        "--answer": None if answer is None else answer.decode(),
        "--connections": connections,
        "--seconds": seconds,
        "--warm-up": warm_up_s,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.load",
        *[word for name, value in arguments.items() if value is not None for word in (name, str(value))],
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
    )
    printed, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the load on {url} broke off")
    return Seen(**json.loads(printed))


def main() -> None:
    """Read the command line, send the load, print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--body", required=True)
    parser.add_argument("--answer")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--warm-up", type=float, default=1.0)
    options = parser.parse_args()
    gc.disable()
    seen = uvloop.run(
        send_load(
            options.url,
            options.body.encode(),
            None if options.answer is None else options.answer.encode(),
            connections=options.connections,
            seconds=options.seconds,
            warm_up_s=options.warm_up,
        )
    )
    print(json.dumps(seen.__dict__))


if __name__ == "__main__":
    main()
