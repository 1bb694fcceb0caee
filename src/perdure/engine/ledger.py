"""The ledger: all of the engine's state that is not on disk, and the batch that the next commit writes. Commands,
timers and operators all act on it, by `lifecycle.py` and `journaling.py`; nothing of that awaits, or asks a clock.

It reads what is committed through the store's reader, in the engine's loop: a look-up by key takes some 20 us, and a
journal or an object's state what it takes to decode them. What is not committed yet it sees through its caches: an
invocation stays in memory from its first change in a batch until that batch is committed, and as long as it runs.

Invariants, which the simulation checks (tests/simulation/invariants.py, and L3 by its crashes):
L1  Journals are dense from 0, and entry 0 is the input.
L2  A key has one holder; the invocations that wait for it are `pending`.
L3  An effect never precedes the commit of the rows that it rests on: it lies in the batch that writes them, or later.
L4  Memory equals what recovery would build: what is not in a row (attempts, failures, retry times) may be lost.
"""

from collections.abc import Callable, Iterable, Mapping

from msgspec import json

from perdure.engine.backoffs import Backoff, Backoffs
from perdure.engine.batch import Batch
from perdure.engine.config import EngineConfig
from perdure.engine.flow.rules import RULE, RuleBook
from perdure.engine.flow.slots import Slots
from perdure.engine.invocation import Invocation, Status
from perdure.engine.keys import Keys
from perdure.engine.object_state import ObjectState
from perdure.engine.promises import Promises
from perdure.engine.registry import Registry
from perdure.engine.requests import Requests
from perdure.engine.schedules import DEFINITION, PROGRESS, Schedules
from perdure.engine.store.reader import Reader
from perdure.engine.timers import Timer, Timers
from perdure.protocol import ids
from perdure.protocol.ids import InvocationId

LAST, NUMBER = "last", "number"
"""The setting that keeps the highest number of an invocation when that is purged."""

PURGE_PAUSE_MS = 20
"""Between two rounds of purging: with so many rows a round, some 25,000 a second."""


class Ledger:
    """One engine's. `new_id` makes the ids of what has no other; all else is read from the store, or given to it."""

    def __init__(
        self,
        reader: Reader,
        registry: Registry,
        config: EngineConfig,
        new_id: Callable[[str | None], InvocationId] = ids.new_invocation_id,
    ) -> None:
        self.reader = reader
        self.registry = registry
        self.config = config
        self.new_id = new_id
        self.now_ms = 0
        self.batch = Batch()
        self.committing: Batch | None = None
        self.keys = Keys(reader.queue)
        self.state = ObjectState(reader, self.batches)
        self.promises = Promises(reader, self.batches)
        self.timers = Timers(self._timers_after)
        self.schedules = Schedules(reader.settings(DEFINITION), reader.settings(PROGRESS))
        self.flow = Slots(config.attempts_max, config.backlog_max, RuleBook.decode(reader.settings(RULE)))
        self.pending = reader.pending()
        self.next_expiry_ms = reader.next_expiry(-1)
        self._last_number = max(reader.last_number(), int(reader.settings(LAST).get(NUMBER, 0)))
        self._last_place = reader.last_place()
        self.last_attempt = 0
        self.backoffs = Backoffs()
        self._invocations: dict[int, Invocation] = {}
        self._numbers: dict[InvocationId, int] = {}
        self.requests = Requests()

    def find(self, id: InvocationId) -> Invocation | None:
        """An invocation, from memory or the store. Whoever changes it must `touch` it, or have that done."""
        number = self._numbers.get(id)
        if number is not None:
            return self._invocations[number]
        return self._as_it_is(self.reader.invocation_by_id(id))

    def find_number(self, number: int) -> Invocation | None:
        return self._invocations.get(number) or self._as_it_is(self.reader.invocation(number))

    def _as_it_is(self, stored: Invocation | None) -> Invocation | None:
        """An invocation that is not in memory, from its row: None if that is about to be purged."""
        if stored is None or stored.number in self.batch.purged:
            return None
        if self.committing is not None and stored.number in self.committing.purged:
            return None
        self.backoffs.complement(stored)
        return stored

    def running(self, number: int, attempt: int) -> Invocation | None:
        """The invocation if this attempt at it is the one that runs; None for what comes too late."""
        invocation = self._invocations.get(number)
        if invocation is None or invocation.attempt != attempt or invocation.status is not Status.RUNNING:
            return None
        return invocation

    def touch(self, invocation: Invocation) -> None:
        """The invocation changed: its row is written, and it stays in memory until then."""
        self.batch.invocations[invocation.number] = invocation
        self.keep(invocation)

    def keep(self, invocation: Invocation) -> None:
        self._invocations[invocation.number] = invocation
        self._numbers[invocation.id] = invocation.number

    def new_number(self) -> int:
        """The number of an invocation that has just arrived; none is given twice."""
        self._last_number += 1
        return self._last_number

    def new_place(self) -> int:
        """The next place in the queue of a key."""
        self._last_place += 1
        return self._last_place

    def set_timer(self, timer: Timer) -> None:
        self.batch.timers[timer] = True
        self.timers.add(timer)

    def note(self, invocation: Invocation, type: str, record: Mapping[str, object]) -> None:
        """Keep for people to read what happened to an invocation beside its journal."""
        row = (invocation.number, self.now_ms, invocation.journal_length - 1, type, json.encode(record))
        self.batch.events.append(row)

    def drop(self, invocation: Invocation) -> None:
        """The invocation is purged with this batch: nothing of it is to be written any more.

        Its number is never given again, even if it was the highest: timers and waiters may still name it.
        """
        self.batch.settings[LAST, NUMBER] = str(self._last_number).encode()
        self.batch.purged.add(invocation.number)
        self.batch.invocations.pop(invocation.number, None)
        self._invocations.pop(invocation.number, None)
        self._numbers.pop(invocation.id, None)
        self.backoffs.drop(invocation.number)

    def take_batch(self) -> Batch:
        """The batch to commit now; the next gathers from here on. One at a time."""
        assert self.committing is None, "a batch is being committed already"
        self.committing, self.batch = self.batch, Batch()
        return self.committing

    def committed(self) -> Batch:
        """The batch is on disk: its effects may be carried out now, then `forget` what is at rest."""
        batch, self.committing = self.committing, None
        assert batch is not None, "no batch is being committed"
        return batch

    def forget(self, batch: Batch) -> None:
        """Drop what is written and does not run: a suspended invocation costs a row on disk and nothing in memory."""
        keys = batch.keys
        for number, invocation in batch.invocations.items():
            if invocation.expires_at_ms is not None:
                self._expires(invocation.expires_at_ms)
            if number not in self.batch.invocations and invocation.status is not Status.RUNNING:
                if self._invocations.pop(number, None) is not None:  # if purged, another may have its id by now
                    del self._numbers[invocation.id]
                self.backoffs.leave(invocation)
                if invocation.exclusive:
                    keys.add(invocation.object_key)
        for key in keys - self.batch.keys:
            self.keys.drop(key, self._invocations)
        for promise in batch.promises.values():
            if promise.expires_at_ms is not None:
                self._expires(promise.expires_at_ms)
        if batch.promises:
            self.promises.forget(batch)

    def _expires(self, at_ms: int) -> None:
        """Something that is on disk now is to be purged at this time, or when there has been a pause."""
        at_ms = max(at_ms, self.now_ms + PURGE_PAUSE_MS)
        if self.next_expiry_ms is None or at_ms < self.next_expiry_ms:
            self.next_expiry_ms = at_ms

    def uncommitted(self) -> dict[int, Invocation]:
        """The invocations of which something is not on disk yet."""
        return {number: each for batch in self.batches() for number, each in batch.invocations.items()}

    def is_uncommitted(self, number: int) -> bool:
        """Whether something of this invocation is not on disk yet."""
        return number in self.batch.invocations or (
            self.committing is not None and number in self.committing.invocations
        )

    def batches(self) -> tuple[Batch, ...]:
        """What is not on disk yet, oldest first."""
        return (self.batch,) if self.committing is None else (self.committing, self.batch)

    def invocations_in_memory(self) -> Iterable[Invocation]:
        return self._invocations.values()

    def backing_off(self) -> list[tuple[int, Backoff]]:
        """Of the invocations that are not in memory, those that wait for their next attempt."""
        known = self._invocations
        return [
            (number, each) for number, each in self.backoffs if each.retry_at_ms is not None and number not in known
        ]

    def _timers_after(self, cursor: Timer, limit: int) -> list[Timer]:
        """The next timers beyond the cursor: those on disk, and those on their way there."""
        timers = set(self.reader.timers_after(cursor, limit))
        for batch in self.batches():
            for timer, kept in batch.timers.items():
                if timer > cursor and kept:
                    timers.add(timer)
                elif not kept:
                    timers.discard(timer)
        return sorted(timers)[:limit]
