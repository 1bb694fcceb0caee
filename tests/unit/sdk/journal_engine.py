"""An engine for the SDK's tests: keeps one invocation's journal, answers commands, makes attempts until the end."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from google.protobuf.message import Message

from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import invocation_id
from perdure.protocol.messages import Envelope, MessageType, envelope, is_command, is_notification
from perdure.sdk.attempt import Attempt
from perdure.sdk.definition import HandlerDefinition
from perdure.transport.connection import InvokeRequest

RAW_ID = bytes(range(24))
ID = invocation_id(RAW_ID)
TIMEOUT_S = 10

Answer = Callable[["JournalEngine", int, Message], Iterable[Envelope]]
"""What the engine stores and sends as soon as a command has come."""

VOID = pb.Void()


def completion(type: MessageType, id: int, value: bytes | None = None, failure: pb.Failure | None = None) -> Envelope:
    notification = pb.NotificationMessage(completion_id=id)
    if failure is not None:
        notification.failure.CopyFrom(failure)
    elif value is not None:
        notification.value.content = value
        notification.value.SetInParent()
    else:
        notification.void.CopyFrom(VOID)
    return Envelope(type, notification)


def callee_id(id: int, callee: str = "inv_callee") -> Envelope:
    return Envelope(
        MessageType.CALL_INVOCATION_ID_COMPLETION, pb.NotificationMessage(completion_id=id, invocation_id=callee)
    )


def signal(id: int | str, value: bytes | None = None, failure: pb.Failure | None = None) -> Envelope:
    named = completion(MessageType.SIGNAL, 0, value, failure)
    assert isinstance(named.message, pb.NotificationMessage)
    if isinstance(id, str):
        named.message.signal_name = id
    else:
        named.message.signal_id = id
    return named


def cancel() -> Envelope:
    return signal(1)


def answer_at_once(engine: "JournalEngine", type: int, command: Message) -> Iterable[Envelope]:
    """Timers fire, callees echo, promises stay open, as soon as they are asked for."""
    match command:
        case pb.SleepCommandMessage():
            yield completion(MessageType.SLEEP_COMPLETION, command.result_completion_id)
        case pb.CallCommandMessage():
            yield callee_id(command.invocation_id_notification_idx, f"inv_callee{command.result_completion_id}")
            yield completion(MessageType.CALL_COMPLETION, command.result_completion_id, command.parameter)
        case pb.OneWayCallCommandMessage():
            yield callee_id(command.invocation_id_notification_idx)
        case pb.GetLazyStateCommandMessage():
            value = engine.state.get(command.key)
            yield completion(MessageType.GET_LAZY_STATE_COMPLETION, command.result_completion_id, value)
        case pb.GetLazyStateKeysCommandMessage():
            keys = pb.StateKeys(keys=sorted(engine.state))
            notification = pb.NotificationMessage(completion_id=command.result_completion_id, state_keys=keys)
            yield Envelope(MessageType.GET_LAZY_STATE_KEYS_COMPLETION, notification)
        case pb.GetPromiseCommandMessage():
            yield completion(MessageType.GET_PROMISE_COMPLETION, command.result_completion_id, b'"kept"')
        case pb.PeekPromiseCommandMessage():
            yield completion(MessageType.PEEK_PROMISE_COMPLETION, command.result_completion_id)
        case pb.CompletePromiseCommandMessage():
            yield completion(MessageType.COMPLETE_PROMISE_COMPLETION, command.result_completion_id)
        case pb.AttachInvocationCommandMessage():
            yield completion(MessageType.ATTACH_INVOCATION_COMPLETION, command.result_completion_id, b'"attached"')
        case _:
            return


def answer_nothing(engine: "JournalEngine", type: int, command: Message) -> Iterable[Envelope]:
    return ()


class JournalEngine:
    """One invocation. `half_closed`: its attempts are told at once that nothing more will be sent to them."""

    def __init__(
        self,
        handler: HandlerDefinition,
        body: bytes = b"",
        *,
        version: int = 7,
        half_closed: bool = False,
        answer: Answer = answer_at_once,
        key: str = "",
        state: Mapping[bytes, bytes] | None = None,
        eager: bool = True,
    ) -> None:
        self.handler = handler
        self.version = version
        self.half_closed = half_closed
        self.answer = answer
        self.key = key
        self.state = dict(state or {})
        self.eager = eager
        self.journal: list[Envelope] = [envelope(pb.InputCommandMessage(value=pb.Value(content=body)))]
        self.sent: list[Envelope] = []
        """What the last attempt sent."""
        self.attempts = 0
        self.retries = 0
        self.retried_for_ms = 0
        self.attempt: Attempt | None = None
        self._open = False
        self._closed = asyncio.Event()

    # The sender of the attempt

    def send(self, sent: Envelope) -> None:
        assert self._open, f"{MessageType(sent.type).name} after the end"
        self.sent.append(sent)
        if sent.type == MessageType.PROPOSE_RUN_COMPLETION:
            self._proposed(sent)
        elif is_command(sent.type):
            self.journal.append(sent)
            self.retries = 0
            self._apply(sent.message)
            for notification in self.answer(self, sent.type, sent.message):
                self.notify(notification)

    def close(self) -> None:
        self._open = False
        self._closed.set()

    def abort(self) -> None:
        self.close()

    def _proposed(self, sent: Envelope) -> None:
        proposal = sent.message
        assert isinstance(proposal, pb.ProposeRunCompletionMessage)
        id = proposal.result_completion_id
        if proposal.HasField("value"):
            stored = completion(MessageType.RUN_COMPLETION, id, proposal.value)
        else:
            stored = completion(MessageType.RUN_COMPLETION, id, failure=proposal.failure)
        ack = envelope(pb.ProposeRunCompletionAckMessage(completion_id=id))
        self.notify(stored, as_sent=ack if sent.requested_ack else None)

    def _apply(self, command: Message) -> None:
        match command:
            case pb.SetStateCommandMessage():
                self.state[command.key] = command.value.content
            case pb.ClearStateCommandMessage():
                self.state.pop(command.key, None)
            case pb.ClearAllStateCommandMessage():
                self.state.clear()
            case _:
                pass

    # What tests do

    def notify(self, notification: Envelope, as_sent: Envelope | None = None) -> None:
        """Stores a notification, and sends it, in the loop's next turn, to the attempt that runs."""
        self.journal.append(notification)
        self.retries = 0
        attempt = self.attempt
        if self._open and not self.half_closed and attempt is not None:
            asyncio.get_running_loop().call_soon(attempt.message, as_sent or notification)

    def commands(self) -> list[str]:
        """The journal's commands, without what the clock decided."""
        return [shown(entry) for entry in self.journal if is_command(entry.type)]

    def begin(self) -> Attempt:
        """Opens an attempt and replays the journal to it."""
        self.attempts += 1
        self.sent = []
        self._open = True
        self._closed.clear()
        request = InvokeRequest(self.handler.service.name, self.handler.name, self.version, ID, self.key or None)
        attempt = self.attempt = Attempt(self.handler, request, self)
        for message in [self._start(), *self.journal]:
            attempt.message(message)
        if self.half_closed:
            attempt.closed(None)
        return attempt

    async def ended(self) -> Envelope:
        """The last message of the attempt that runs."""
        await asyncio.wait_for(self._closed.wait(), TIMEOUT_S)
        return self.sent[-1]

    async def run(self, retries_max: int = 0) -> pb.OutputCommandMessage:
        """Makes attempts until the invocation has ended; an attempt that fails may be made again a few times."""
        failed = 0
        while True:
            self._answer_what_is_open()
            self.begin()
            last = await self.ended()
            if last.type == MessageType.END:
                outputs = [entry for entry in self.journal if entry.type == MessageType.OUTPUT]
                assert len(outputs) == 1
                assert isinstance(outputs[0].message, pb.OutputCommandMessage)
                return outputs[0].message
            if last.type == MessageType.SUSPENSION:
                assert self._can_resume(last.message), f"suspended for ever: {last.message}"
                continue
            assert isinstance(last.message, pb.ErrorMessage)
            failed += 1
            assert failed <= retries_max, f"{last.message.message}\n{last.message.stacktrace}"
            self.retries += 1
            self.retried_for_ms += last.message.next_retry_delay

    def _start(self) -> Envelope:
        return envelope(
            pb.StartMessage(
                id=RAW_ID,
                debug_id=ID,
                known_entries=len(self.journal),
                state_map=[pb.StartMessage.StateEntry(key=key, value=value) for key, value in self.state.items()]
                if self.eager
                else [],
                partial_state=not self.eager,
                key=self.key,
                random_seed=4711,
                retry_count_since_last_stored_entry=self.retries,
                duration_since_last_stored_entry=self.retried_for_ms,
            )
        )

    def _answer_what_is_open(self) -> None:
        """Answers recorded commands whose answers a crash cut off."""
        answered = {
            entry.message.completion_id
            for entry in self.journal
            if isinstance(entry.message, pb.NotificationMessage) and entry.message.HasField("completion_id")
        }
        for entry in [entry for entry in self.journal if is_command(entry.type)]:
            for notification in self.answer(self, entry.type, entry.message):
                assert isinstance(notification.message, pb.NotificationMessage)
                if notification.message.completion_id not in answered:
                    self.notify(notification)

    def _can_resume(self, suspension: Message) -> bool:
        assert isinstance(suspension, pb.SuspensionMessage)
        awaited = flattened(suspension.awaiting_on) if self.version >= 7 else flattened(suspension)
        assert awaited
        here: set[int | str] = set()
        for entry in self.journal:
            if is_notification(entry.type) and isinstance(entry.message, pb.NotificationMessage):
                one = entry.message
                here.add(one.completion_id or -one.signal_id or one.signal_name)
        return bool(here & awaited)


def flattened(node: pb.Future | pb.SuspensionMessage) -> set[int | str]:
    """All that a suspension waits for: completion ids, negative signal indexes, signal names."""
    found: set[int | str] = {*node.waiting_completions, *node.waiting_named_signals}
    found |= {-index for index in node.waiting_signals}
    if isinstance(node, pb.Future):
        for child in node.nested_futures:
            found |= flattened(child)
    return found


def shown(entry: Envelope) -> str:
    """An entry as text, without what the clock decided."""
    message = type(entry.message)()
    message.CopyFrom(entry.message)
    if isinstance(message, pb.SleepCommandMessage):
        message.wake_up_time = 0
    if isinstance(message, pb.OneWayCallCommandMessage):
        message.invoke_time = 0
    return f"{MessageType(entry.type).name} {' '.join(str(message).split())}"
