"""A reply with all that endpoints say beside it: an id of its own, why it ended, and what it cost in tokens."""

import hashlib
import secrets
import time

import msgspec

from perdure.llm.chat import ChatRequest, Function, Reply, ToolCall

CHARACTERS_A_TOKEN = 4  # what English and JSON come to, roughly


class Usage(msgspec.Struct):
    """What an answer cost, in tokens. `cached_tokens` are a part of `input_tokens`."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Of the question and of the answer."""
        return self.input_tokens + self.output_tokens


class Answer(msgspec.Struct):
    """A reply, with what its author says of it; what is None, `complete` fills in.

    `finish_reason` is one of chat completions: `stop`, `tool_calls`, `length`, `content_filter`. Each interface says it
    in its own words.
    """

    reply: Reply
    finish_reason: str | None = None
    usage: Usage | None = None
    model: str | None = None


class Complete(msgspec.Struct):
    """An answer with all that endpoints say beside it: each interface writes it in its own form."""

    id: str
    model: str
    reply: Reply
    finish_reason: str
    usage: Usage
    created: int
    """When, in seconds since 1970."""


def complete(answer: Reply | Answer, asked: ChatRequest, model: str) -> Complete:
    """The answer to this request, by this model. Its id is new; the ids of its tool calls are the same each time."""
    given = Answer(answer) if isinstance(answer, Reply) else answer
    reply = _with_call_ids(given.reply, asked)
    return Complete(
        secrets.token_hex(12),
        given.model or model,
        reply,
        given.finish_reason or ("tool_calls" if reply.tool_calls else "stop"),
        given.usage or Usage(tokens((asked.messages, asked.tools)), tokens(reply)),
        int(time.time()),
    )


def tokens(said: object) -> int:
    """How many tokens some messages or tools have, estimated from their length as JSON."""
    return max(1, len(msgspec.json.encode(said)) // CHARACTERS_A_TOKEN)


def _with_call_ids(reply: Reply, asked: ChatRequest) -> Reply:
    """Gives calls their ids: made of what was asked, they differ within a conversation, but not from run to run."""
    if not reply.tool_calls or all(call.id for call in reply.tool_calls):
        return reply
    said = hashlib.sha256(msgspec.json.encode(asked.messages)).hexdigest()[:12]
    calls = [
        call if call.id else ToolCall(f"call_{said}_{number}", Function(call.function.name, call.function.arguments))
        for number, call in enumerate(reply.tool_calls, 1)
    ]
    return Reply(reply.content, calls, reply.role)
