"""All that may go out: effects, in the imperative. None is carried out before the rows it rests on are committed."""

from typing import TypeAlias

from msgspec import Struct

from perdure.engine.answers import Answer
from perdure.engine.flow.lanes import Place
from perdure.errors import PerdureError
from perdure.protocol.messages import Envelope


class StartAttempt(Struct, frozen=True):
    """Run the invocation as soon as its limits have a slot for it: Start, then the journal as it is by then."""

    number: int
    place: Place


class Notify(Struct, frozen=True):
    """Tell the running attempt of a journal entry; one that has this index in its replay already knows."""

    number: int
    attempt: int
    index: int
    envelope: Envelope


class StopAttempt(Struct, frozen=True):
    """Drop the attempt's connection. Where `place` is given there is none yet: the invocation waits there for a slot,
    and is to wait no longer."""

    number: int
    attempt: int
    place: Place | None = None


class Respond(Struct, frozen=True):
    """Answer somebody outside who waits: with what was asked for, or with the error to raise there."""

    request: int
    answer: Answer | PerdureError


Effect: TypeAlias = StartAttempt | Notify | StopAttempt | Respond
