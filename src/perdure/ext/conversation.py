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


class Conversations:
    """All that an invocation's models were asked so far. The same on every attempt, as its journal is."""

    def __init__(self) -> None:
        self._calls = 0
        self._places: dict[bytes, dict[str, Any]] = {}
        self._told: dict[bytes, int] = {}

    def loaded(self, session: str, messages: Sequence[Message]) -> None:
        """Messages that were read from what keeps them: calls that go on from them refer to the session."""
        self._place(b"", messages, {"session": session})

    def ask(self, asked: Asked) -> "Call":
        """The next call: what of it is new."""
        self._calls += 1
        number = self._calls
        digests = _chain(b"", asked.messages)
        known = next((n for n in range(len(digests), 0, -1) if digests[n - 1] in self._places), 0)
        record: dict[str, Any] = {"call": number, "agent": asked.agent, "model": asked.model}
        if known:
            record["follows"] = self._places[digests[known - 1]]
        record["messages"] = list(asked.messages[known:])
        record["instructions"] = self._once(number, asked.instructions)
        record["tools"] = self._once(number, list(asked.tools))
        record["settings"] = dict(asked.settings)
        for count, digest in enumerate(digests[known:], known + 1):
            self._places[digest] = {"call": number, "messages": count}
        end = digests[-1] if digests else b""
        return Call(self, number, {name: value for name, value in record.items() if value}, end, len(digests))

    def answered(self, call: "Call", said: Said) -> None:
        """What the call gave is known from now on."""
        self._place(call.end, said.messages, {"call": call.number}, call.length)

    def _place(self, end: bytes, messages: Sequence[Message], where: Mapping[str, Any], before: int = 0) -> None:
        for count, digest in enumerate(_chain(end, messages), before + 1):
            self._places.setdefault(digest, {**where, "messages": count})

    def _once(self, number: int, told: Any) -> Any:
        """What stands in the record of the first call that has it, and is named by the others."""
        if not told:
            return None
        first = self._told.setdefault(_digest(b"", told), number)
        return told if first == number else {"as_in_call": first}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a model within its invocation."""

    conversations: Conversations
    number: int
    new: Mapping[str, Any]
    """What its journal entry holds of the request."""
    end: bytes
    length: int

    def answered(self, said: Said) -> None:
        """Takes note of the response."""
        self.conversations.answered(self, said)


def _chain(end: bytes, messages: Sequence[Message]) -> list[bytes]:
    """For each message, what stands for the conversation up to it."""
    chain: list[bytes] = []
    for message in messages:
        end = _digest(end, message)
        chain.append(end)
    return chain


def _digest(end: bytes, told: Any) -> bytes:
    return blake2b(end + msgspec.json.encode(told, enc_hook=repr, order="sorted"), digest_size=16).digest()
