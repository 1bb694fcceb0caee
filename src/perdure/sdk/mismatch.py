"""Explains a journal mismatch the way a compiler explains an error: where, what was there, what came, what to do."""

from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from google.protobuf.message import Message

from perdure.callsites import is_runtime_code, is_user_code, shown_path
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.failure_codes import JOURNAL_MISMATCH
from perdure.protocol.messages import Entry, MessageType
from perdure.sdk.foreign_awaits import awaited_by
from perdure.sdk.journal import JournalMismatch

_SHOWN_BYTES_MAX = 120

_ADVICE = (
    "If the handler was changed, put it back as it was and resume the invocation, or cancel it. A change that is\n"
    "served and registered at an address of its own leaves what is in flight to the old code.\n"
    "If not, it depends on something that differs from run to run (time, random, I/O): wrap that in ctx.run."
)


def explain(mismatch: JournalMismatch, invocation_id: str, location: str | None) -> pb.ErrorMessage:
    """The error that the engine is told, with the recorded command in its related fields."""
    recorded_type, recorded = mismatch.recorded
    where = f"  ({location})" if location else ""
    lines = [
        f"{invocation_id} cannot go on: its code no longer follows its journal",
        f"  journal entry {mismatch.index}:  {_describe(recorded_type, recorded)}",
    ]
    if mismatch.attempted is None:
        lines.append(f"  the code now:     waits for something that the journal does not hold at this point{where}")
    else:
        lines.append(f"  the code now:     {_describe(*mismatch.attempted)}{where}")
        lines += _differences(mismatch.recorded, mismatch.attempted)
    return pb.ErrorMessage(
        code=JOURNAL_MISMATCH,
        message="\n".join([*lines, _ADVICE]),
        related_command_index=mismatch.index,
        related_command_type=recorded_type,
        related_command_name=_entry_name(recorded),
    )


def location_of(frames: Iterator[tuple[str, int]]) -> str | None:
    """`file:line` of the user's code among frames, innermost first; an installed package's, if there is no other."""
    fallback: str | None = None
    for file, line in frames:
        if is_user_code(file):
            return f"{shown_path(file)}:{line}"
        if fallback is None and not is_runtime_code(file):
            fallback = f"{shown_path(file)}:{line}"
    return fallback


def frames_above(frame: FrameType | None) -> Iterator[tuple[str, int]]:
    """A running frame and its callers."""
    while frame is not None:
        yield frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back


def frames_within(coroutine: Any) -> Iterator[tuple[str, int]]:
    """The frames of a coroutine that waits, innermost first."""
    frames: list[tuple[str, int]] = []
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None:
            frames.append((frame.f_code.co_filename, frame.f_lineno))
        coroutine = awaited_by(coroutine)
    return reversed(frames)


def _target(command: Any) -> str:
    key = f"/{command.key}" if command.key else ""
    return f"{command.service_name}{key}/{command.handler_name}"


def _signal(command: pb.SendSignalCommandMessage) -> str:
    if command.idx == 1:
        return f"cancel {command.target_invocation_id}"
    return f'signal "{command.name or command.idx}" to {command.target_invocation_id}'


def _key(command: Any) -> str:
    return f'"{command.key if isinstance(command.key, str) else command.key.decode(errors="replace")}"'


_DESCRIPTIONS: dict[int, Callable[[Any], str]] = {  # Any: the row's key is the command's type
    MessageType.OUTPUT: lambda command: "the handler's failure" if command.HasField("failure") else "handler return",
    MessageType.GET_LAZY_STATE: lambda command: f"get state {_key(command)}",
    MessageType.GET_EAGER_STATE: lambda command: f"get state {_key(command)}",
    MessageType.GET_LAZY_STATE_KEYS: lambda _: "get state keys",
    MessageType.GET_EAGER_STATE_KEYS: lambda _: "get state keys",
    MessageType.SET_STATE: lambda command: f"set state {_key(command)}",
    MessageType.CLEAR_STATE: lambda command: f"clear state {_key(command)}",
    MessageType.CLEAR_ALL_STATE: lambda _: "clear all state",
    MessageType.GET_PROMISE: lambda command: f"wait for promise {_key(command)}",
    MessageType.PEEK_PROMISE: lambda command: f"peek at promise {_key(command)}",
    MessageType.COMPLETE_PROMISE: lambda command: f"complete promise {_key(command)}",
    MessageType.SLEEP: lambda command: f'sleep "{command.name}"' if command.name else "sleep",
    MessageType.CALL: lambda command: f"call {_target(command)}",
    MessageType.ONE_WAY_CALL: lambda command: f"send {_target(command)}",
    MessageType.SEND_SIGNAL: _signal,
    MessageType.RUN: lambda command: f'run "{command.name}"',
    MessageType.ATTACH_INVOCATION: lambda command: f"attach to {command.invocation_id}",
    MessageType.GET_INVOCATION_OUTPUT: lambda command: f"get output of {command.invocation_id}",
    MessageType.COMPLETE_AWAKEABLE: lambda command: f"complete awakeable {command.awakeable_id}",
}


def _describe(type: int, command: Message) -> str:
    description = _DESCRIPTIONS.get(type)
    return description(command) if description else f"message type {type:#06x}"


def _entry_name(command: Any) -> str:
    return command.entry_name if isinstance(command, pb.SendSignalCommandMessage) else command.name


def _differences(recorded: Entry, attempted: Entry) -> list[str]:
    """Which fields differ, where both are the same command."""
    if recorded[0] != attempted[0]:
        return []
    held, now = dict(_fields(recorded[1])), dict(_fields(attempted[1]))
    return [
        f"  they differ in:   {name}: {held.get(name, 'absent')} in the journal, {now.get(name, 'absent')} now"
        for name in {**held, **now}
        if held.get(name) != now.get(name)
    ]


def _fields(message: Message) -> Iterator[tuple[str, str]]:
    for field, value in message.ListFields():
        yield field.name, _shown(value)


def _shown(value: object) -> str:
    if isinstance(value, pb.Value):
        value = value.content
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN_BYTES_MAX else f"{text[:_SHOWN_BYTES_MAX]}..."
