"""A batch: all that one commit writes, and the effects that wait for it.

Rows are gathered as objects and turned into values once, when the batch is sealed; an invocation that is touched ten
times is written once. What the processor needs to see of rows that are not committed yet, it sees through its caches.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec import Struct, json

from perdure.engine.effects import Effect
from perdure.engine.events import Setting
from perdure.engine.invocation import STORED_AS, Invocation, Waiter
from perdure.engine.keys import Key
from perdure.engine.timers import Timer
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import InvocationId

StateKey = tuple[str, str, str, bytes]
"""An object's `Key`, and the name."""
PromiseKey = tuple[str, str, str, str]
SettingKey = tuple[str, str]
"""Kind and name."""
Row = tuple[object, ...]
JournalRow = tuple[int, int, int, bytes, int]
"""Invocation, index, type, payload, time."""


@dataclass(slots=True, eq=False)
class Promise:
    """A workflow's durable promise: its result once it has one, and the handlers that wait for it.

    `expires_at_ms`: one that was completed before its workflow came is kept so long.
    """

    key: PromiseKey
    result: pb.NotificationMessage | None = None
    waiters: list[Waiter] = field(default_factory=list[Waiter])
    expires_at_ms: int | None = None


class Sealed(Struct, frozen=True):
    """A batch as rows for the writer, by statement, in the order in which they are to be executed."""

    statements: tuple[tuple[str, list[Row]], ...]


@dataclass(slots=True)
class Batch:
    """What is gathered for the next commit. `keys` are those at which holder or queue changed with it.

    `called`: the invocations that are new with it, by their callers. `signals`: invocations and the signals they get.
    """

    journal: list[JournalRow] = field(default_factory=list[JournalRow])
    invocations: dict[int, Invocation] = field(default_factory=dict[int, Invocation])
    timers: dict[Timer, bool] = field(default_factory=dict[Timer, bool])
    state: dict[StateKey, bytes | None] = field(default_factory=dict[StateKey, bytes | None])
    cleared_objects: list[Key] = field(default_factory=list[Key])
    promises: dict[PromiseKey, Promise] = field(default_factory=dict[PromiseKey, Promise])
    deployments: dict[str, bytes | None] = field(default_factory=dict[str, bytes | None])
    mutations: dict[int, Row | None] = field(default_factory=dict[int, Row | None])
    purged: set[int] = field(default_factory=set[int])
    purged_entries: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    cleared_promises: set[Key] = field(default_factory=set[Key])
    settings: dict[SettingKey, bytes | None] = field(default_factory=dict[SettingKey, bytes | None])
    events: list[Row] = field(default_factory=list[Row])
    called: dict[InvocationId, list[int]] = field(default_factory=dict[InvocationId, list[int]])
    signals: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    keys: set[Key] = field(default_factory=set[Key])
    effects: list[Effect] = field(default_factory=list[Effect])

    def __bool__(self) -> bool:
        return bool(
            self.journal
            or self.invocations
            or self.effects
            or self.timers
            or self.state
            or self.cleared_objects
            or self.promises
            or self.deployments
            or self.mutations
            or self.purged
            or self.purged_entries
            or self.cleared_promises
            or self.settings
            or self.events
        )

    def change_settings(self, changes: Iterable[Setting]) -> None:
        self.settings.update(((kind, name), record) for kind, name, record in changes)

    def clear_object(self, key: Key) -> None:
        """All state of an object goes; what this batch set before goes with it."""
        for state_key in [each for each in self.state if each[:3] == key]:
            del self.state[state_key]
        self.cleared_objects.append(key)

    def change_state(self, key: Key, entries: dict[bytes, bytes]) -> None:
        """Makes of an object's state what it is after this batch."""
        if key in self.cleared_objects:
            entries.clear()
        for (*its_key, name), value in self.state.items():
            if tuple(its_key) == key:
                if value is None:
                    entries.pop(name, None)
                else:
                    entries[name] = value

    def seal(self) -> Sealed:
        """The rows. Called once; what happens to the objects afterwards is the next batch's."""
        statements: list[tuple[str, list[Row]]] = []

        def add(name: str, rows: list[Row]) -> None:
            if rows:
                statements.append((name, rows))

        add("purge_invocation", [(number,) for number in self.purged])  # first, as another may have its id by now
        add("clear_deployment", [(id,) for id, record in self.deployments.items() if record is None])
        add("deployment", [(id, record) for id, record in self.deployments.items() if record is not None])
        add("invocation", [_invocation_row(invocation) for invocation in self.invocations.values()])
        add("journal", list[Row](self.journal))
        add("purge_journal", list[Row](self.purged_entries))
        add("clear_timer", [timer for timer, kept in self.timers.items() if not kept])
        add("timer", [timer for timer, kept in self.timers.items() if kept])
        ended = [number for number, each in self.invocations.items() if each.completed_at_ms is not None]
        add("clear_timers", [(number,) for number in ended])
        add("clear_object", list[Row](self.cleared_objects))
        add("clear_state", [key for key, value in self.state.items() if value is None])
        add("state", [(*key, value) for key, value in self.state.items() if value is not None])
        add("clear_promises", list[Row](self.cleared_promises))
        add("promise", [_promise_row(promise) for promise in self.promises.values()])
        add("clear_mutation", [(place,) for place, row in self.mutations.items() if row is None])
        add("mutation", [(place, *row) for place, row in self.mutations.items() if row is not None])
        add("event", self.events)
        add("purge_event", [(number,) for number in self.purged])
        add("clear_setting", [key for key, record in self.settings.items() if record is None])
        add("setting", [(*key, record) for key, record in self.settings.items() if record is not None])
        return Sealed(tuple(statements))


def _invocation_row(invocation: Invocation) -> Row:
    target = invocation.target
    return (
        invocation.number,
        invocation.id,
        target.service,
        target.key,
        target.handler,
        invocation.service_type,
        invocation.handler_type,
        STORED_AS.get(invocation.status, invocation.status).value,
        invocation.created_at_ms,
        invocation.modified_at_ms,
        invocation.completed_at_ms,
        invocation.execute_at_ms,
        invocation.place,
        invocation.idempotency_key,
        invocation.caller_id,
        invocation.deployment_id,
        invocation.protocol_version,
        invocation.awaiting.SerializeToString() if invocation.awaiting is not None else None,
        json.encode(invocation.waiters) if invocation.waiters else None,
        invocation.output.SerializeToString() if invocation.output is not None else None,
        json.encode(invocation.last_failure) if invocation.last_failure is not None else None,
        target.scope or "",
        invocation.limit_key,
        invocation.priority,
        invocation.caller_target,
        invocation.restarted_from,
        invocation.schedule_id,
        invocation.created_by,
        invocation.inboxed_at_ms,
        invocation.running_at_ms,
        invocation.retention_ms,
        invocation.journal_retention_ms,
        invocation.expires_at_ms,
        invocation.paused_by,
        invocation.seeded_by,
    )


def _promise_row(promise: Promise) -> Row:
    result = promise.result.SerializeToString() if promise.result is not None else None
    return (*promise.key, result, json.encode(promise.waiters), promise.expires_at_ms)
