"""Guardrails: one that is `async def` runs with the context, so the agents that it asks are durable too; one that is a
plain `def` is recorded as one step.
"""

import copy
import functools
from collections.abc import Callable
from typing import Any, Final, TypeVar

from agents import (
    GuardrailFunctionOutput,
    InputGuardrail,
    OutputGuardrail,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrail,
    ToolOutputGuardrail,
)

from perdure.ext.codecs import Codec
from perdure.ext.durable_here import durable_here
from perdure.ext.openai.cancels import wrapping_cancels
from perdure.ext.openai.functions import ANYTHING, RECORDS_ITSELF
from perdure.ext.openai.named_step import named_step
from perdure.ext.tool_calls import WithContext, call_body, how_recorded

G = TypeVar("G", InputGuardrail[Any], OutputGuardrail[Any], ToolInputGuardrail[Any], ToolOutputGuardrail[Any])


def durable_guardrail(guardrail: G) -> G:
    """The guardrail as one whose verdict is recorded, or follows from what is; the given one stays as it is."""
    function: Any = guardrail.guardrail_function
    if hasattr(function, RECORDS_ITSELF):
        return guardrail
    of_tool = isinstance(guardrail, (ToolInputGuardrail, ToolOutputGuardrail))
    twin = copy.copy(guardrail)
    twin.name = guardrail.get_name()
    twin.guardrail_function = _durable(f"guardrail {twin.name}", function, _OF_TOOL if of_tool else _OF_AGENT)
    return twin


def _durable(name: str, function: Callable[..., Any], codec: Codec[Any]) -> Any:
    with_context = isinstance(how_recorded(function), WithContext)

    async def judge(*args: Any) -> Any:
        body = functools.partial(call_body, function, *args)
        with wrapping_cancels():
            if with_context:
                return await durable_here(name).alone(name, body)
            return await named_step("guardrail", name, body, codec)

    setattr(judge, RECORDS_ITSELF, True)
    return judge


def _agent_verdict(value: Any) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(value["output_info"], value["tripwire_triggered"])


def _tool_verdict(value: Any) -> ToolGuardrailFunctionOutput:
    return ToolGuardrailFunctionOutput(value["output_info"], value["behavior"])


_OF_AGENT: Final = Codec(ANYTHING.to_json, _agent_verdict)
_OF_TOOL: Final = Codec(ANYTHING.to_json, _tool_verdict)
