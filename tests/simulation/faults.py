"""What can go wrong in a simulated world: crashes at commits, and cables that are slow, break, or go dead."""

import asyncio
import random
from collections import deque
from collections.abc import Callable

from perdure.engine.batch import Sealed
from perdure.engine.committer import OnCommitted
from perdure.engine.store.writer import Writer
from perdure.errors import StoreError, TransportError
from perdure.protocol.discovery import Manifest
from perdure.protocol.messages import Envelope
from perdure.transport.connection import InvokeRequest, Receiver, Sender
from perdure.transport.in_process import InProcessTransport


class Crash(StoreError):
    """The engine's process is gone."""


class FaultyCommitter:
    """Commits inline, after a while; at a commit that the seed chose, the engine crashes instead, or right after."""

    def __init__(
        self,
        writer: Writer,
        loop: asyncio.AbstractEventLoop,
        random: random.Random,
        crashes: float,
        after_commit: Callable[[], None] = lambda: None,
    ) -> None:
        self._after_commit = after_commit
        self._writer = writer
        self._loop = loop
        self._random = random
        self._crashes = crashes

    def submit(self, sealed: Sealed, done: OnCommitted) -> None:
        delay_s = self._random.choice([None, 0, 0.001, 0.1])
        if delay_s is None:
            self._commit(sealed, done)
        else:
            self._loop.call_later(delay_s, self._commit, sealed, done)

    def _commit(self, sealed: Sealed, done: OnCommitted) -> None:
        crash = self._random.random() < self._crashes
        if crash and self._random.random() < 0.5:
            self._loop.call_soon(done, Crash("before the commit"))
            return
        self._writer.commit(sealed)
        # What is on disk need not be known to be there yet: a thread says so when the loop has time for it.
        self._loop.call_later(self._random.choice([0, 0, 0.001, 0.02]), self._tell, done, crash)

    def _tell(self, done: OnCommitted, crash: bool) -> None:
        done(Crash("after the commit, before its effects") if crash else None)
        if not crash:
            self._after_commit()

    def close(self) -> None:
        pass


class FaultyTransport:
    """The in-process transport with a cable that may be slow, break, or go dead."""

    sdk_version: str | None = None

    def __init__(self, transport: InProcessTransport, random: random.Random, breaks: float, silences: float) -> None:
        self._transport = transport
        self._random = random
        self._breaks = breaks
        self._silences = silences

    async def discover(self) -> Manifest:
        return await self._transport.discover()

    def open(self, request: InvokeRequest, receiver: Receiver) -> Sender:
        cable = Cable(receiver, self._random, self._breaks, self._silences)
        cable.sender = self._transport.open(request, cable)
        return cable

    async def close(self) -> None:
        await self._transport.close()


class Cable:
    """Both ends of one connection: the engine's sender, and the receiver of what the service says."""

    def __init__(self, receiver: Receiver, random: random.Random, breaks: float, silences: float) -> None:
        self._receiver = receiver
        self._random = random
        self._breaks = breaks
        self._silences = silences
        self._loop = asyncio.get_running_loop()
        self._arrives_at = 0.0
        self._under_way: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
        self._cut = False
        self._dead = False
        self.sender: Sender | None = None

    def send(self, envelope: Envelope) -> None:
        if self._cut or self._dead or self._fault() or self.sender is None:
            return
        self.sender.send(envelope)

    def close(self) -> None:
        if self.sender is not None and not self._dead:
            self.sender.close()

    def abort(self) -> None:
        self._cut = True
        if self.sender is not None:
            self.sender.abort()

    def message(self, envelope: Envelope) -> None:
        if self._cut or self._dead or self._fault():
            return
        self._later(self._receiver.message, envelope)

    def closed(self, error: Exception | None) -> None:
        if not self._cut and not self._dead:
            self._later(self._receiver.closed, error)

    def _later(self, call: Callable[..., None], *args: object) -> None:
        delay = self._random.choice([0, 0, 0, 0.002, 0.05])
        self._arrives_at = max(self._arrives_at, self._loop.time() + delay)
        self._under_way.append((call, args))
        self._loop.call_at(self._arrives_at, self._arrive)

    def _arrive(self) -> None:
        """The oldest of what is under way arrives: a loop's timers of one instant come in no order, messages do."""
        call, args = self._under_way.popleft()
        if not self._cut:
            call(*args)

    def _fault(self) -> bool:
        drawn = self._random.random()
        if drawn < self._breaks:
            self._cut = True
            assert self.sender is not None
            self.sender.abort()
            self._loop.call_soon(self._receiver.closed, TransportError("the cable was cut"))
            return True
        if drawn < self._breaks + self._silences:
            self._dead = True
            return True
        return False
