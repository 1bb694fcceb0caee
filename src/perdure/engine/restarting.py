"""Restarting: what a new invocation takes over from one that has ended."""

from collections.abc import Sequence

from msgspec import Struct

from perdure.engine.replay import completion_ids, learn
from perdure.errors import UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import InvocationId
from perdure.protocol.messages import Envelope, MessageType, is_command


class Restarted(Struct, frozen=True):
    """The invocation that has ended, and what the new one takes over of it: entries of its journal, with the version of
    the protocol that they are in, which is 0 where there are none.

    `pinned`: the new one runs where it was resolved; else where it is resolved when it begins.
    `seeded_by`: the invocation whose random numbers are in the entries.
    """

    id: InvocationId
    pinned: bool = False
    protocol_version: int = 0
    journal: tuple[Envelope, ...] = ()
    seeded_by: InvocationId | None = None


def kept_entries(journal: Sequence[Envelope], last: int) -> tuple[Envelope, ...]:
    """The entries after the input, up to and with the one of index `last`, and what completed them later on.

    Raises:
        UsageError: there is no such entry, it is the output, or a command up to it was never completed.
    """
    if not 0 <= last < len(journal):
        raise UsageError(f"from={last}: the journal has the entries 0 to {len(journal) - 1}")
    kept = list(journal[1 : last + 1])
    known: dict[int | str, bool] = {}
    issued: dict[int, int] = {}
    for index, envelope in enumerate(kept, 1):
        if envelope.type == MessageType.OUTPUT:
            raise UsageError(f"from={last}: entry {index} is the output: there would be nothing left to do")
        if is_command(envelope.type):
            issued |= dict.fromkeys(completion_ids(envelope.message), index)
        else:
            assert isinstance(envelope.message, pb.NotificationMessage)
            learn(known, envelope.message)
    for envelope in journal[last + 1 :]:
        message = envelope.message
        if isinstance(message, pb.NotificationMessage) and message.completion_id in issued:
            kept.append(envelope)
            learn(known, message)
    for completion_id, index in issued.items():
        if completion_id not in known:
            name = MessageType(journal[index].type).name
            raise UsageError(f"from={last}: entry {index} ({name}) was never completed: restart from before it")
    return tuple(kept)
