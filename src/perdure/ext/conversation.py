"""What models were asked and said, in one form for all libraries, recorded as what is new.

An agent sends the whole conversation with each call. Recorded as it is sent, a hundred calls would store it a hundred
times; here each call names the earlier one that it goes on from, and holds only the messages that came since. What was
loaded from a session counts as known as well: the session has it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, TypeAlias

import msgspec

Message: TypeAlias = Mapping[str, Any]
"""`{"role": "system" | "user" | "assistant" | "tool", "content": text or parts}`.

An assistant's may have `tool_calls`, each `{"id", "name", "arguments"}`; a tool's has the `tool_call_id` of the call
that it answers. A library's own fields may come along.
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to a model."""

    model: str
    messages: Sequence[Message]
    """The whole conversation, oldest first."""
    instructions: str | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    """What is offered: `{"name", "description", "parameters"}`."""
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Temperature and the like, as far as they were set."""
    agent: str | None = None
    """Who asks."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call cost, in tokens. Those read from the provider's cache are part of the input's."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """One response of a model."""

    messages: Sequence[Message]
    """As they will be part of the next request, so that it is seen to go on from here; mostly one."""
    model: str | None = None
    """Who answered, as the provider says it."""
    usage: Usage | None = None
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a model within its invocation."""

    number: int
    new: Mapping[str, Any]
    """What its journal entry holds of the request."""
    digests: Sequence[bytes]
    """For each of its messages, what stands for the conversation up to it."""
    offered: Sequence[bytes]
    """What stands for its instructions and its tools."""


class Conversations:
    """All that an invocation's models were asked and have answered. The same on every attempt, as its journal is."""

    def __init__(self) -> None:
        self._calls = 0
        self._places: dict[bytes, Mapping[str, Any]] = {}
        self._offered: dict[bytes, int] = {}

    def loaded(self, session: str, messages: Sequence[Message]) -> None:
        """Messages that were read from what keeps them: calls that go on from them refer to the session."""
        _, messages = _instructions_apart(None, messages)
        self._place(_chain(b"", messages), {"session": session})

    def ask(self, asked: Asked) -> Call:
        """The next call: what of it is new. Others can refer to it once it is `answered`."""
        self._calls += 1
        instructions, messages = _instructions_apart(asked.instructions, asked.messages)
        digests = _chain(b"", messages)
        known = next((n for n in range(len(digests), 0, -1) if digests[n - 1] in self._places), 0)
        offered = [_digest(b"", each) for each in (instructions, asked.tools) if each]
        record: dict[str, Any] = {"call": self._calls, "agent": asked.agent, "model": asked.model}
        if known:
            record["follows"] = self._places[digests[known - 1]]
        record["messages"] = list(messages[known:])
        record["instructions"] = self._once(instructions)
        record["tools"] = self._once(list(asked.tools))
        record["settings"] = dict(asked.settings)
        return Call(self._calls, {name: value for name, value in record.items() if value}, digests, offered)

    def answered(self, call: Call, said: Said) -> None:
        """The call is recorded, and with it what it asked and what it was told."""
        end = call.digests[-1] if call.digests else b""
        self._place([*call.digests, *_chain(end, said.messages)], {"call": call.number})
        for digest in call.offered:
            self._offered.setdefault(digest, call.number)

    def _place(self, digests: Sequence[bytes], where: Mapping[str, Any]) -> None:
        for count, digest in enumerate(digests, 1):
            self._places.setdefault(digest, {**where, "messages": count})

    def _once(self, offered: Any) -> Any:
        """Instructions or tools; where the record of an earlier call has them, that call's number."""
        first = self._offered.get(_digest(b"", offered)) if offered else None
        return offered if first is None else {"as_in_call": first}


def _instructions_apart(instructions: Any, messages: Sequence[Message]) -> tuple[Any, Sequence[Message]]:
    """Instructions that stand before the messages, as they may differ in each call: a conversation goes on over it."""
    if instructions is None and messages and messages[0].get("role") in ("system", "developer"):
        return messages[0].get("content"), messages[1:]
    return instructions, messages


def _chain(end: bytes, messages: Sequence[Message]) -> list[bytes]:
    """For each message, what stands for the conversation up to it."""
    chain: list[bytes] = []
    for message in messages:
        end = _digest(end, message)
        chain.append(end)
    return chain


def _digest(end: bytes, told: Any) -> bytes:
    return blake2b(end + msgspec.json.encode(told, enc_hook=repr, order="sorted"), digest_size=16).digest()
