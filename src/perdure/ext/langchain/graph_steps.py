"""A tool or a node of a graph as one step: what it returned, or how else it ended that means something to the graph."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from perdure.errors import UsageError
from perdure.ext.codecs import Codec
from perdure.ext.langchain.cancelling import letting_cancels_pass
from perdure.ext.langchain.interrupts import Answers
from perdure.ext.langchain.values import VALUES
from perdure.ext.missing import needs
from perdure.ext.tool_calls import Recording, WithContext, tool_call

with needs("langgraph", extra="langchain"):
    from langchain_core.tools import ToolException
    from langgraph.errors import GraphBubbleUp, GraphInterrupt
    from langgraph.types import Interrupt


class Outcome(msgspec.Struct, omit_defaults=True):
    """What came of a step: it returned, was interrupted or refused."""

    returned: Any = None
    interrupts: list[Any] = []
    refused: str | None = None
    """What a ToolException said."""
    answers: list[Any] = []
    """Those that its interrupts were given."""


Record: TypeAlias = Callable[[Callable[[], Awaitable[Outcome]]], Awaitable[Outcome]]
"""Executes a body as a run of the journal, and gives its outcome, now or as it was recorded."""


async def tool_in_graph(
    name: str,
    recording: Recording,
    execute: Callable[[], Awaitable[Any]],
    call: Mapping[str, Any],
    config: Mapping[str, Any],
) -> Any:
    """Executes a tool for a `call` of the model, recorded in this way. Otherwise like `graph_step`."""
    told: Any = {"arguments": call["args"], "call_id": call["id"]}
    record = partial(tool_call, name, recording=recording, codec=OUTCOME, control_flow=(GraphBubbleUp,), **told)
    return await graph_step(name, execute, record, config, with_context=isinstance(recording, WithContext))


async def graph_step(
    name: str,
    execute: Callable[[], Awaitable[Any]],
    record: Record,
    config: Mapping[str, Any],
    *,
    with_context: bool = False,
) -> Any:
    """Executes what `record` records, as part of the graph that `config` is of.

    `with_context`: the body may have used the context, and is recorded only if it did not.

    Raises:
        GraphInterrupt, ToolException: as the body raised it.
        TerminalError: it failed as often as its options allow.
    """
    answers = Answers(config)
    executed = False

    async def body() -> Outcome:
        nonlocal executed
        executed = True
        try:
            with letting_cancels_pass():
                return Outcome(returned=await execute(), answers=answers.given)
        except GraphInterrupt as interrupt:
            return Outcome(interrupts=list(interrupt.args[0]), answers=answers.given)
        except GraphBubbleUp as error:
            if with_context:
                raise
            raise UsageError(
                f"{name!r} raised {type(error).__name__}, which a step cannot hand on to the graph: make it "
                "`async def`, to be run with the context"
            ) from error
        except ToolException as error:
            return Outcome(refused=str(error))

    with letting_cancels_pass():
        outcome = await record(body)
    if not executed:
        answers.use_again(outcome.answers)
    if outcome.interrupts:
        raise GraphInterrupt(tuple(outcome.interrupts))
    if outcome.refused is not None:
        raise ToolException(outcome.refused)
    return outcome.returned


def _to_json(outcome: Outcome) -> Any:
    asks = [
        {"id": each.id, "value": VALUES.to_json(each.value), "schema": VALUES.to_json(each.response_schema)}
        for each in outcome.interrupts
    ]
    written = msgspec.structs.replace(
        outcome, returned=VALUES.to_json(outcome.returned), interrupts=asks, answers=VALUES.to_json(outcome.answers)
    )
    return msgspec.to_builtins(written)


def _from_json(value: Any) -> Outcome:
    outcome = msgspec.convert(value, Outcome)
    outcome.returned = VALUES.from_json(outcome.returned)
    outcome.interrupts = [
        Interrupt(VALUES.from_json(each["value"]), each["id"], response_schema=VALUES.from_json(each["schema"]))
        for each in outcome.interrupts
    ]
    outcome.answers = VALUES.from_json(outcome.answers)
    return outcome


OUTCOME: Final[Codec[Outcome]] = Codec(_to_json, _from_json)
