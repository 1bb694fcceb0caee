"""Answers the engine's questions from what is committed, by key or in the order of an index, of which a part is read.

Only when the engine starts does it walk over all that there is of something: `ready`, `pending`, `last_place`,
`settings`, `deployments`.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any

from msgspec import json

from perdure.engine.batch import Promise, PromiseKey
from perdure.engine.events import Target
from perdure.engine.flow.lanes import Lane, Place
from perdure.engine.invocation import Invocation, LastFailure, Status, Waiter
from perdure.engine.keys import Key, Queue
from perdure.engine.store.database import Connection
from perdure.engine.store.statements import INVOCATION_COLUMNS, KEYED
from perdure.engine.timers import Timer
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import InvocationId
from perdure.protocol.messages import Envelope, MessageType, decode_payload

_INVOCATION = f"""
    select {", ".join(INVOCATION_COLUMNS)},
           (select coalesce(max(idx) + 1, 0) from journal where journal.invocation = invocation.number)
    from invocation
"""
_SIGNALS = f"from journal indexed by journal_signal where type = {int(MessageType.SIGNAL)}"
_WAITERS = json.Decoder(list[Waiter])
_LAST_FAILURE = json.Decoder(LastFailure)


class Reader:
    """Reads what is committed, in the loop's thread; a look-up takes some 20 us."""

    def __init__(self, connection: Connection) -> None:
        self._execute = connection.execute

    def invocation(self, number: int) -> Invocation | None:
        row = self._execute(f"{_INVOCATION} where number = ?", (number,)).fetchone()
        return _invocation(row) if row is not None else None

    def invocation_by_id(self, id: InvocationId) -> Invocation | None:
        row = self._execute(f"{_INVOCATION} where id = ?", (id,)).fetchone()
        return _invocation(row) if row is not None else None

    def last_number(self) -> int:
        row = self._execute("select max(number) from invocation").fetchone()
        return row[0] or 0 if row is not None else 0

    def last_place(self) -> int:
        """The last place that was given in any key's queue, of those that are still in one."""
        query = (
            f"select max(coalesce((select max(place) from invocation indexed by invocation_keyed where {KEYED}), 0),"
            " coalesce((select max(place) from mutation), 0))"
        )
        row = self._execute(query).fetchone()
        return row[0] if row is not None else 0

    def pending(self) -> int:
        """How many invocations wait for their key."""
        query = f"select count(*) from invocation indexed by invocation_keyed where {KEYED} and status = 'pending'"
        row = self._execute(query).fetchone()
        return row[0] if row is not None else 0

    def ready(self) -> Iterator[tuple[int, Place]]:
        """All invocations that were running or about to, in order of arrival: what recovery starts again."""
        rows = self._execute(
            "select number, service, handler, deployment_id, scope, limit_key, priority, running_at is not null"
            " from invocation indexed by invocation_ready where status = 'ready' order by number"
        )
        for number, service, handler, deployment, scope, limit_key, priority, begun in rows:
            lane = Lane(service, handler, deployment or "", scope or "", limit_key or "")
            yield number, Place(lane, priority, bool(begun))

    def journal(self, number: int) -> list[Envelope]:
        """The whole journal, in order."""
        rows = self._execute("select type, payload from journal where invocation = ? order by idx", (number,))
        return [Envelope(type, decode_payload(type, payload)) for type, payload in rows]

    def has_signal(self, number: int, signal: int) -> bool:
        """Whether the journal holds the signal. It goes over the journal's signals, but decodes none of them."""
        begins = pb.NotificationMessage(signal_id=signal).SerializeToString()  # an id comes before its result
        query = f"select 1 {_SIGNALS} and invocation = ? and substr(payload, 1, ?) = ? limit 1"
        return self._execute(query, (number, len(begins), begins)).fetchone() is not None

    def journal_from_end(self, number: int) -> Iterator[Envelope]:
        """The journal, the last entry first; each is read when it is asked for."""
        rows = self._execute("select type, payload from journal where invocation = ? order by idx desc", (number,))
        for type, payload in rows:
            yield Envelope(type, decode_payload(type, payload))

    def queue(self, key: Key) -> Queue:
        """Who holds a key and who waits for it: invocations, and mutations by their negated places."""
        rows = self._execute(
            "select number, status, place from invocation indexed by invocation_keyed"
            f" where scope = ?1 and service = ?2 and key = ?3 and {KEYED} union all"
            " select -place, 'pending', place from mutation where scope = ?1 and service = ?2 and key = ?3 order by 3",
            key,
        ).fetchall()
        holder = next((number for number, status, _ in rows if status != Status.PENDING), None)
        return Queue(holder, deque(number for number, status, _ in rows if status == Status.PENDING))

    def line(self, key: Key, place: int, most: int) -> tuple[int | None, int]:
        """Who holds a key, and how many wait for it before a place: exact up to `most`, which bounds the cost."""
        at_key = (
            f"from invocation indexed by invocation_keyed where scope = ?1 and service = ?2 and key = ?3 and {KEYED}"
        )
        first = self._execute(f"select number, status {at_key} order by place limit 1", key).fetchone()
        holder = first[0] if first is not None and first[1] != Status.PENDING else None
        before = (
            f"select 1 {at_key} and place < ?4 union all"
            " select 1 from mutation where scope = ?1 and service = ?2 and key = ?3 and place < ?4"
        )
        limit = most + (holder is not None)  # who holds it has the first place of all
        row = self._execute(f"select count(*) from ({before} limit ?5)", (*key, place, limit)).fetchone()
        assert row is not None, "a count is one row"
        return holder, max(0, row[0] - (holder is not None))

    def timers_after(self, timer: Timer, limit: int) -> list[Timer]:
        rows = self._execute(
            "select due, invocation, completion from timer where (due, invocation, completion) > (?, ?, ?)"
            " order by due, invocation, completion limit ?",
            (*timer, limit),
        )
        return [(due, invocation, completion) for due, invocation, completion in rows]

    def state(self, key: Key, bytes_max: int) -> tuple[list[tuple[bytes, bytes]], bool]:
        """An object's state as (name, value), and whether that is all; it ends before it would pass `bytes_max`."""
        entries: list[tuple[bytes, bytes]] = []
        size = 0
        query = "select name, value from state where scope = ? and service = ? and key = ?"
        for name, value in self._execute(query, key):
            size += len(name) + len(value)
            if size > bytes_max:
                return entries, False
            entries.append((name, value))
        return entries, True

    def state_value(self, key: Key, name: bytes) -> bytes | None:
        query = "select value from state where scope = ? and service = ? and key = ? and name = ?"
        row = self._execute(query, (*key, name)).fetchone()
        return row[0] if row is not None else None

    def state_names(self, key: Key) -> list[bytes]:
        query = "select name from state where scope = ? and service = ? and key = ?"
        return [name for (name,) in self._execute(query, key)]

    def promise(self, key: PromiseKey) -> Promise | None:
        query = (
            "select result, waiters, expires_at from promise where scope = ? and service = ? and key = ? and name = ?"
        )
        row = self._execute(query, key).fetchone()
        if row is None:
            return None
        result, waiters, expires_at = row
        notification = pb.NotificationMessage.FromString(result) if result is not None else None
        return Promise(key, notification, _WAITERS.decode(waiters), expires_at)

    def called_by(self, id: InvocationId, limit: int = -1) -> list[int]:
        """The invocations that were called from this one and have not ended: all, or the first ones."""
        query = (
            "select number from invocation indexed by invocation_called"
            " where caller_id = ? and caller_id is not null and status <> 'completed' order by number limit ?"
        )
        return [number for (number,) in self._execute(query, (id, limit))]

    def expired(self, now_ms: int, limit: int) -> list[int]:
        """Ended invocations of which something is to be purged by now, the earliest first."""
        query = "select number from invocation where expires_at <= ? order by expires_at limit ?"
        return [number for (number,) in self._execute(query, (now_ms, limit))]

    def next_expiry(self, after_ms: int) -> int | None:
        """The next time after this at which something is to be purged."""
        query = (
            "select min(at) from (select min(expires_at) as at from invocation where expires_at > ?1"
            " union all select min(expires_at) from promise where expires_at > ?1)"
        )
        row = self._execute(query, (after_ms,)).fetchone()
        return row[0] if row is not None else None

    def expired_promises(self, now_ms: int, limit: int) -> list[PromiseKey]:
        """Promises that were completed before their workflow came, and should not be kept beyond now."""
        query = "select scope, service, key, name from promise where expires_at <= ? order by expires_at limit ?"
        return [(scope, service, key, name) for scope, service, key, name in self._execute(query, (now_ms, limit))]

    def mutation(self, place: int) -> bytes | None:
        row = self._execute("select record from mutation where place = ?", (place,)).fetchone()
        return row[0] if row is not None else None

    def settings(self, kind: str) -> dict[str, bytes]:
        """The records of one kind of settings, by name."""
        return dict(self._execute("select name, record from setting where kind = ? order by name", (kind,)))

    def setting(self, kind: str, name: str) -> bytes | None:
        row = self._execute("select record from setting where kind = ? and name = ?", (kind, name)).fetchone()
        return row[0] if row is not None else None

    def promise_names(self, key: Key) -> list[str]:
        query = "select name from promise where scope = ? and service = ? and key = ?"
        return [name for (name,) in self._execute(query, key)]

    def deployments(self) -> list[bytes]:
        """The records of all deployments, in order of registration."""
        return [record for (record,) in self._execute("select record from deployment order by position")]


def _invocation(row: tuple[Any, ...]) -> Invocation:
    """Any: SQLite's values come untyped; the schema is strict, so each column has one type."""
    (
        number,
        id,
        service,
        key,
        handler,
        service_type,
        handler_type,
        status,
        created_at,
        modified_at,
        completed_at,
        execute_at,
        place,
        idempotency_key,
        caller_id,
        deployment_id,
        protocol_version,
        awaiting,
        waiters,
        output,
        last_failure,
        scope,
        limit_key,
        priority,
        caller_target,
        restarted_from,
        schedule_id,
        created_by,
        inboxed_at,
        running_at,
        retention,
        journal_retention,
        expires_at,
        paused_by,
        seeded_by,
        journal_length,
    ) = row
    return Invocation(
        number=number,
        id=id,
        target=Target(service, handler, key, scope or None),
        service_type=service_type,
        handler_type=handler_type,
        status=Status(status),
        created_at_ms=created_at,
        modified_at_ms=modified_at,
        completed_at_ms=completed_at,
        execute_at_ms=execute_at,
        place=place,
        idempotency_key=idempotency_key,
        caller_id=caller_id,
        deployment_id=deployment_id,
        protocol_version=protocol_version,
        awaiting=pb.Future.FromString(awaiting) if awaiting is not None else None,
        waiters=_WAITERS.decode(waiters) if waiters is not None else [],
        output=pb.OutputCommandMessage.FromString(output) if output is not None else None,
        last_failure=_LAST_FAILURE.decode(last_failure) if last_failure is not None else None,
        limit_key=limit_key,
        priority=priority,
        caller_target=caller_target,
        restarted_from=restarted_from,
        schedule_id=schedule_id,
        created_by=created_by,
        inboxed_at_ms=inboxed_at,
        running_at_ms=running_at,
        retention_ms=retention,
        journal_retention_ms=journal_retention,
        expires_at_ms=expires_at,
        paused_by=paused_by,
        seeded_by=seeded_by,
        journal_length=journal_length,
        stored_at_ms=modified_at,
    )
