"""What somebody outside who waits is told when all goes well."""

from typing import TypeAlias

from msgspec import Struct

from perdure.protocol.ids import InvocationId


class Failure(Struct, frozen=True):
    """How an invocation failed for good."""

    code: int
    message: str
    metadata: dict[str, str] | None = None

    def __str__(self) -> str:
        return f"[{self.code}] {self.message}"


class Outcome(Struct, frozen=True):
    """What an invocation came to. `new`: the request that asked also began it. `kept_until_ms`: it can be had again."""

    invocation_id: InvocationId
    value: bytes | None = None
    failure: Failure | None = None
    new: bool = True
    kept_until_ms: int | None = None


class Accepted(Struct, frozen=True):
    """An invocation was taken in, or (`new` false) had been before."""

    invocation_id: InvocationId
    new: bool
    executes_at_ms: int | None = None


class Done(Struct, frozen=True):
    """What was asked for is done; else there was nothing to do, or it is under way. `note`: what to know of it."""

    done: bool
    note: str | None = None


Answer: TypeAlias = Accepted | Outcome | Done | None
