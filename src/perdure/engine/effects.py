"""All that may go out: effects, in the imperative. None is carried out before the rows it rests on are committed."""

from typing import TypeAlias

from msgspec import Struct

from perdure.engine.events import Accepted, Done, Outcome
from perdure.errors import PerdureError
from perdure.protocol.messages import Envelope

Answer: TypeAlias = Accepted | Outcome | Done | None
"""What somebody who waits is told when all goes well."""


class StartAttempt(Struct, frozen=True):
    """Run the invocation as soon as a slot is free: Start, then the journal as it is committed by then."""

    number: int
    attempt: int


class Notify(Struct, frozen=True):
    """Tell the running attempt of a journal entry; one that has this index in its replay already knows."""

    number: int
    attempt: int
    index: int
    envelope: Envelope


class StopAttempt(Struct, frozen=True):
    """Drop the attempt's connection: its invocation went on without it."""

    number: int
    attempt: int


class Respond(Struct, frozen=True):
    """Answer somebody outside who waits: with what was asked for, or with the error to raise there."""

    request: int
    answer: "Answer | PerdureError"


Effect: TypeAlias = StartAttempt | Notify | StopAttempt | Respond
