"""Why an invocation is not done: one sentence for people, from what is on disk and what only memory knows."""

from collections.abc import Callable

from perdure.engine.flow.lanes import Place
from perdure.engine.flow.slots import Position
from perdure.engine.invocation import Invocation, Status, signal_key
from perdure.engine.registry import Registry
from perdure.engine.replay import completion_ids
from perdure.engine.store.reader import Reader
from perdure.engine.ways_on import removed, way_on
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import CANCEL_SIGNAL, InvocationId, awakeable_id, parse_invocation_id
from perdure.protocol.messages import Message
from perdure.times import minute_text, span_text

_DEPTH_MAX = 4  # how far a sentence follows those who wait for those who wait: further, nobody could read it
_NAMED_MAX = 3
_FAILURE_MAX = 1_000  # of the first line of a failure: what it advises comes last
_NAMED = (
    pb.CallCommandMessage,
    pb.SleepCommandMessage,
    pb.RunCommandMessage,
    pb.GetPromiseCommandMessage,
    pb.AttachInvocationCommandMessage,
)
_AHEAD_MAX = 1_000  # those ahead are counted so far: 50 us; a list has a sentence a line, all made in the engine's loop


class Reasons:
    """`find`: an invocation by its number, with what memory knows of it. `position`: what a ready one waits for."""

    def __init__(
        self,
        reader: Reader,
        find: Callable[[int], Invocation | None],
        clock: Callable[[], int],
        position: Callable[[int, Place, int], Position | None],
        registry: Registry,
    ) -> None:
        self._reader = reader
        self._find = find
        self._clock = clock
        self._position = position
        self._registry = registry

    def of(self, invocation: Invocation, depth: int = 0) -> str | None:
        """The sentence; None for what has ended."""
        match invocation.status:
            case Status.SCHEDULED:
                return f"starts in {self._until(invocation.execute_at_ms)}"
            case Status.PENDING:
                return self._of_pending(invocation)
            case Status.READY:
                return self._of_ready(invocation)
            case Status.RUNNING:
                return f"runs for {self._since(invocation.modified_at_ms)}{self._of_open_entries(invocation, depth)}"
            case Status.BACKING_OFF:
                return self._of_backing_off(invocation)
            case Status.SUSPENDED:
                return self._of_suspended(invocation, depth)
            case Status.PAUSED:
                return self._of_paused(invocation)
            case Status.COMPLETED:
                return None

    def _of_ready(self, invocation: Invocation) -> str:
        position = self._position(invocation.number, invocation.standing, self._clock())
        if position is None:
            return "is about to run"
        ahead = f", {position.ahead} ahead" if position.ahead else ""
        if position.limit is None:
            return f"waits for a free slot of the engine{ahead}"
        if position.due_ms is not None:
            return f"waits for the rate of limit `{position.limit}`, next in {self._until(position.due_ms)}{ahead}"
        return f"waits for a free slot of limit `{position.limit}`{ahead}"

    def _of_pending(self, invocation: Invocation) -> str:
        number, ahead = self._reader.line(invocation.object_key, invocation.place, _AHEAD_MAX)
        holder = self._find(number) if number is not None else None
        held = "which is being handed over" if holder is None else f"held by {holder.id} for {self._held(holder)}"
        counted = f"{ahead} or more" if ahead == _AHEAD_MAX else str(ahead)
        return f"waits for key `{invocation.target.key}`, {held}" + (f", {counted} ahead" if ahead else "")

    def _held(self, holder: Invocation) -> str:
        return self._since(holder.running_at_ms or holder.inboxed_at_ms or holder.created_at_ms)

    def _of_backing_off(self, invocation: Invocation) -> str:
        after = f" after {_failure(invocation)}" if invocation.last_failure is not None else ""
        tried = f", {_ordinal(invocation.failures + 1)} attempt"
        due = f" in {self._until(invocation.retry_at_ms)}" if invocation.retry_at_ms is not None else ""
        return f"backs off{after}{tried}{due}"

    def _of_paused(self, invocation: Invocation) -> str:
        way = way_on(invocation, self._registry)
        if invocation.paused_by == "operator":
            return f"was paused {self._since(invocation.modified_at_ms)} ago: {way}"
        if removed(invocation, self._registry) is not None:
            return f"is paused: {way}"  # whatever failed, this comes first, and may be what failed
        return f"is paused after {_failure(invocation)}: {way}"

    def _of_suspended(self, invocation: Invocation, depth: int) -> str:
        waits = "is suspended"
        if invocation.awaiting is not None:
            waits = f"waits for {self._awaited(invocation, invocation.awaiting, depth)}"
        gone = removed(invocation, self._registry)
        return waits if gone is None else f"{waits}; {gone}"

    def _of_open_entries(self, invocation: Invocation, depth: int) -> str:
        """What a running invocation says that it waits for; else what it has asked for on disk and not got."""
        open_ids = [id for id in invocation.issued if id not in invocation.known]
        awaited = invocation.hint or pb.Future(waiting_completions=open_ids)
        named = self._awaited(invocation, awaited, depth)
        return f", and waits for {named}" if named else ""

    def _awaited(self, invocation: Invocation, future: pb.Future, depth: int) -> str:
        """What the open ids of a future stand for: the first few by name, and how many more there are."""
        completions, signals = set[int](), list[str]()
        _collect(future, completions, signals, invocation)
        commands, callees = self._commands(invocation, completions)
        named = signals[:_NAMED_MAX]
        named += [self._of_command(each, callees, depth) for each in commands[: _NAMED_MAX - len(named)]]
        more = len(signals) + len(commands) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")

    def _commands(self, invocation: Invocation, completions: set[int]) -> tuple[list[Message], dict[int, InvocationId]]:
        """The commands that are answered by these completions, and whom the calls among them called.

        What is open is mostly near the journal's end, so it is read from there: a long one is not read in full.
        """
        left, commands, callees = set(completions), list[Message](), dict[int, InvocationId]()
        entries = self._reader.journal_from_end(invocation.number) if left else iter(())
        while left and (entry := next(entries, None)) is not None:
            message = entry.message
            if isinstance(message, pb.NotificationMessage) and message.invocation_id:
                callees[message.completion_id] = InvocationId(message.invocation_id)
            elif not left.isdisjoint(ids := completion_ids(message)):
                left.difference_update(ids)
                if isinstance(message, _NAMED):
                    commands.append(message)
        return commands[::-1], callees

    def _of_command(self, command: Message, callees: dict[int, InvocationId], depth: int) -> str:
        match command:
            case pb.CallCommandMessage() as call:
                target = "/".join(part for part in (call.service_name, call.key, call.handler_name) if part)
                return f"`{target}`{self._of_callee(callees.get(call.invocation_id_notification_idx), depth)}"
            case pb.SleepCommandMessage() as sleep:
                return f"{sleep.name or 'a timer'} that is due in {self._until(sleep.wake_up_time)}"
            case pb.RunCommandMessage() as run:
                return f"step `{run.name}`" if run.name else "a step"
            case pb.GetPromiseCommandMessage() as promise:
                return f"promise `{promise.key}`"
            case pb.AttachInvocationCommandMessage() as attached:
                return f"the result of {attached.invocation_id or 'another invocation'}"
            case _:
                return ""

    def _of_callee(self, id: InvocationId | None, depth: int) -> str:
        callee = self._reader.invocation_by_id(id) if id is not None and depth < _DEPTH_MAX else None
        if callee is None:
            return ""
        reason = self.of(self._find(callee.number) or callee, depth + 1)
        return f", which {reason}" if reason else ""

    def _since(self, at_ms: int) -> str:
        return span_text(self._clock() - at_ms)

    def _until(self, at_ms: int) -> str:
        left_ms = at_ms - self._clock()
        if left_ms < 86_400_000:
            return span_text(left_ms)
        return f"{span_text(left_ms)} ({minute_text(at_ms)})"


def _collect(future: pb.Future, completions: set[int], signals: list[str], invocation: Invocation) -> None:
    completions.update(id for id in future.waiting_completions if id not in invocation.known)
    raw_id = parse_invocation_id(invocation.id)
    signals += [
        f"awakeable {awakeable_id(raw_id, signal)}"
        for signal in future.waiting_signals
        if signal != CANCEL_SIGNAL and signal_key(signal) not in invocation.known
    ]
    signals += [f"signal `{name}`" for name in future.waiting_named_signals if signal_key(name) not in invocation.known]
    for nested in future.nested_futures:
        _collect(nested, completions, signals, invocation)


def _failure(invocation: Invocation) -> str:
    failed = invocation.last_failure
    assert failed is not None
    first_line = next(iter(failed.message.splitlines()), "") or f"code {failed.code}"
    return f"`{first_line[:_FAILURE_MAX]}`"


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{number}{ending}"
