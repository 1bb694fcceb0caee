"""The ledger: all of the engine's state that is not on disk, the batch that the next commit writes, and what can be
done to them. Nothing here awaits, or asks a clock; commands, timers and operators all act through it.

It reads what is committed through the store's reader, in the engine's loop: a look-up by key takes some 20 us, and a
journal or an object's state what it takes to decode them. What is not committed yet it sees through its caches: an
invocation stays in memory from its first change in a batch until that batch is committed, and as long as it runs.

Invariants, which the simulation checks (tests/simulation/invariants.py, and L3 by its crashes):
L1  Journals are dense from 0, and entry 0 is the input.
L2  A key has one holder; the invocations that wait for it are `pending`.
L3  An effect never precedes the commit of the rows that it rests on: it lies in the batch that writes them, or later.
L4  Memory equals what recovery would build: what is not in a row (attempts, failures, retry times) may be lost.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec import json

from perdure.engine.backoffs import Backoff, Backoffs
from perdure.engine.batch import Batch, Promise, PromiseKey
from perdure.engine.config import EngineConfig
from perdure.engine.effects import Notify, StartAttempt, StopAttempt
from perdure.engine.flow.rules import RULE, RuleBook
from perdure.engine.flow.slots import Slots
from perdure.engine.invocation import Invocation, Status, Step, Waiter, signal_key
from perdure.engine.keys import Key, Keys
from perdure.engine.mutation import Mutation
from perdure.engine.object_state import ObjectState
from perdure.engine.registry import Registry, ResolvedHandler
from perdure.engine.replay import learn
from perdure.engine.requests import Requests
from perdure.engine.schedules import DEFINITION, PROGRESS, Schedules
from perdure.engine.store.reader import Reader
from perdure.engine.timers import Timer, Timers
from perdure.engine.waiting import settle, waits_for_signal
from perdure.errors import UnknownTarget
from perdure.protocol import ids
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import InvocationId
from perdure.protocol.messages import Envelope, MessageType

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
        self.state = ObjectState(reader, self._batches)
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
        self._promises: dict[PromiseKey, Promise] = {}
        self.requests = Requests()

    def find(self, id: InvocationId) -> Invocation | None:
        """An invocation, from memory or the store. Whoever changes it must `touch` it, or keep to methods that do."""
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

    def begin(self, invocation: Invocation) -> None:
        """A scheduled invocation's time has come: it is ready, or waits for its key."""
        if invocation.exclusive:
            self.batch.keys.add(invocation.object_key)
            if not self.keys.take(invocation.object_key, invocation.number):
                self._last_place += 1
                invocation.place = self._last_place
                invocation.inboxed_at_ms = self.now_ms
                invocation.advance(Step.QUEUED, self.now_ms)
                self.pending += 1
                self.touch(invocation)
                return
        self.make_ready(invocation, Step.FELL_DUE)

    def make_ready(self, invocation: Invocation, step: Step) -> None:
        """The invocation is to run as soon as there is a slot; its first time, it is pinned to a deployment."""
        if invocation.status is Status.PENDING:
            self.pending -= 1
        invocation.advance(step, self.now_ms)
        invocation.awaiting = None
        invocation.retry_at_ms = None
        invocation.attempt = 0
        self.pin(invocation)
        self.touch(invocation)
        standing = invocation.standing
        if not standing.begun:
            self.flow.announce(standing.lane)
        self.batch.effects.append(StartAttempt(invocation.number, standing))

    def stop(self, invocation: Invocation) -> None:
        """The attempt at hand goes no further; one that waits for a slot does so no longer."""
        if invocation.status is Status.READY:
            self.batch.effects.append(StopAttempt(invocation.number, 0, invocation.standing))
        elif invocation.attempt:
            self.batch.effects.append(StopAttempt(invocation.number, invocation.attempt))
        invocation.attempt = 0

    def pin(self, invocation: Invocation) -> None:
        """Choose deployment and version, once; left open while no deployment serves the target."""
        if invocation.deployment_id is None:
            try:
                resolved = self.registry.resolve(invocation.target.service, invocation.target.handler)
            except UnknownTarget:
                return
            self.pin_to(invocation, resolved)

    def pin_to(self, invocation: Invocation, resolved: ResolvedHandler) -> None:
        """It runs in this deployment; in the version of the protocol that its journal is in, or the deployment's."""
        invocation.deployment_id = resolved.deployment.id
        invocation.protocol_version = invocation.protocol_version or resolved.protocol_version
        self.touch(invocation)

    def append(self, invocation: Invocation, envelope: Envelope) -> int:
        """Journal an entry; its index. A journal that grows starts the count of failures anew."""
        index = invocation.journal_length
        invocation.journal_length = index + 1
        invocation.stored_at_ms = self.now_ms
        invocation.failures = 0
        if envelope.type == MessageType.SIGNAL and isinstance(envelope.message, pb.NotificationMessage):
            self.batch.signals.add((invocation.number, envelope.message.signal_id))
        payload = envelope.message.SerializeToString()
        self.batch.journal.append((invocation.number, index, int(envelope.type), payload, self.now_ms))
        return index

    def notify(
        self,
        invocation: Invocation,
        type: MessageType,
        notification: pb.NotificationMessage,
        instead: Envelope | None = None,
    ) -> None:
        """Journal a notification, and tell the attempt that runs, or wake the invocation if it waits for this.

        `instead` is what a running attempt is told (the acknowledgement of what it proposed itself).
        """
        if invocation.status is Status.COMPLETED:
            return
        envelope = Envelope(type, notification)
        index = self.append(invocation, envelope)
        learn(invocation.known, notification)
        if invocation.status is Status.RUNNING:
            self.hint(invocation, invocation.hint)
            self.batch.effects.append(Notify(invocation.number, invocation.attempt, index, instead or envelope))
            return
        self.touch(invocation)
        if invocation.awaiting is not None and settle(invocation.awaiting, invocation.known) is not None:
            self.make_ready(invocation, Step.RESUMED)
        invocation.forget_replay()

    def hint(self, invocation: Invocation, awaited: pb.Future | None) -> None:
        """The attempt at hand only waits, until this is answered by what is known."""
        waits = awaited is not None and settle(awaited, invocation.known) is None
        invocation.hint = awaited if waits else None

    def has_signal(self, invocation: Invocation, signal: int) -> bool:
        """Whether the journal holds this signal already."""
        if invocation.status is Status.RUNNING:
            return signal_key(signal) in invocation.known
        if invocation.awaiting is not None and waits_for_signal(invocation.awaiting, signal):
            return False  # what it has is cut off from what it waits for
        if any((invocation.number, signal) in batch.signals for batch in self._batches()):
            return True
        return self.reader.has_signal(invocation.number, signal)

    def complete(self, invocation: Invocation, output: pb.OutputCommandMessage) -> None:
        """End the invocation: its callers get the outcome, its key goes to the next."""
        at_its_key = invocation.exclusive and invocation.status is not Status.SCHEDULED
        if invocation.status is Status.PENDING:
            self.pending -= 1
        self.stop(invocation)
        invocation.advance(Step.ENDED, self.now_ms)
        invocation.completed_at_ms = self.now_ms
        invocation.expires_at_ms = self.now_ms + invocation.journal_retention_ms
        invocation.output = output
        invocation.awaiting = None
        waiters, invocation.waiters = invocation.waiters, []
        self.touch(invocation)
        for waiter in waiters:
            self.answer(waiter, output)
        self.batch.effects += self.requests.answer(invocation)
        if at_its_key:
            self.hand_over(invocation.object_key, invocation.number)

    def hand_over(self, key: Key, number: int) -> None:
        """The key goes to the next in line; a mutation of the object's state has it for this moment only."""
        self.batch.keys.add(key)
        following = self.keys.release(key, number)
        while following is not None and following < 0:
            self.state.apply_waiting(key, -following)
            following = self.keys.release(key, following)
        if following is not None and (next_in_line := self.find_number(following)) is not None:
            self.make_ready(next_in_line, Step.FELL_DUE)

    def mutate(self, key: Key, mutation: Mutation) -> bool:
        """Change an object's state when its key is free: now, and then whether it could be; or later, in its turn."""
        place = self._last_place = self._last_place + 1
        self.batch.keys.add(key)
        if not self.keys.take(key, -place):
            self.state.put_off(key, place, mutation)
            return True
        applied = self.state.apply(key, mutation)
        self.hand_over(key, -place)
        return applied

    def holder(self, key: Key) -> Invocation | None:
        """The invocation that has a key now."""
        self.batch.keys.add(key)  # so that it is dropped from memory again
        number = self.keys.holder(key)
        return self.find_number(number) if number is not None and number > 0 else None

    def in_line_behind(self, invocation: Invocation) -> Iterator[int]:
        """The invocations that wait for the key that this one has; none where it has none."""
        if invocation.exclusive:
            key = invocation.object_key
            self.batch.keys.add(key)  # as in `holder`
            if self.keys.holder(key) == invocation.number:
                yield from (number for number in self.keys.waiting(key) if number > 0)

    def fail(self, invocation: Invocation, code: int, message: str) -> None:
        """End the invocation in failure."""
        self.complete(invocation, pb.OutputCommandMessage(failure=pb.Failure(code=code, message=message)))

    def answer(self, waiter: Waiter, output: pb.OutputCommandMessage) -> None:
        """Give an outcome to a handler that waits for it."""
        caller = self.find_number(waiter.number)
        if caller is None:
            return
        notification = pb.NotificationMessage(completion_id=waiter.completion_id)
        if output.HasField("failure"):
            notification.failure.CopyFrom(output.failure)
        else:
            notification.value.CopyFrom(output.value)
        self.notify(caller, MessageType(waiter.type), notification)

    def set_timer(self, timer: Timer) -> None:
        self.batch.timers[timer] = True
        self.timers.add(timer)

    def promise(self, key: PromiseKey) -> Promise:
        """A workflow's promise; one that nobody has asked for yet is open."""
        promise = self._promises.get(key)
        if promise is None:
            promise = (None if self._are_cleared(key[:3]) else self.reader.promise(key)) or Promise(key)
        self._promises[key] = self.batch.promises[key] = promise
        return promise

    def promises(self, key: Key) -> list[Promise]:
        """All promises of a workflow."""
        stored = () if self._are_cleared(key) else self.reader.promise_names(key)
        names = {*stored, *(each[3] for each in self._promises if each[:3] == key)}
        return [self.promise((*key, name)) for name in sorted(names)]

    def is_promise_uncommitted(self, key: PromiseKey) -> bool:
        """Whether something of this promise is not on disk yet, or it is to go from there."""
        return self._are_cleared(key[:3]) or any(key in batch.promises for batch in self._batches())

    def clear_promises(self, key: Key) -> None:
        """All promises of a workflow go."""
        for promise_key in [each for each in self._promises if each[:3] == key]:
            del self._promises[promise_key]
            self.batch.promises.pop(promise_key, None)
        self.batch.cleared_promises.add(key)

    def _are_cleared(self, key: Key) -> bool:
        """Whether a workflow's promises on disk are to go with what is not committed yet."""
        return any(key in batch.cleared_promises for batch in self._batches())

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
        for promise_key in batch.promises.keys() - self.batch.promises.keys():
            self._promises.pop(promise_key, None)

    def _expires(self, at_ms: int) -> None:
        """Something that is on disk now is to be purged at this time, or when there has been a pause."""
        at_ms = max(at_ms, self.now_ms + PURGE_PAUSE_MS)
        if self.next_expiry_ms is None or at_ms < self.next_expiry_ms:
            self.next_expiry_ms = at_ms

    def uncommitted(self) -> dict[int, Invocation]:
        """The invocations of which something is not on disk yet."""
        return {number: each for batch in self._batches() for number, each in batch.invocations.items()}

    def is_uncommitted(self, number: int) -> bool:
        """Whether something of this invocation is not on disk yet."""
        return number in self.batch.invocations or (
            self.committing is not None and number in self.committing.invocations
        )

    def _batches(self) -> tuple[Batch, ...]:
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
        for batch in self._batches():
            for timer, kept in batch.timers.items():
                if timer > cursor and kept:
                    timers.add(timer)
                elif not kept:
                    timers.discard(timer)
        return sorted(timers)[:limit]
