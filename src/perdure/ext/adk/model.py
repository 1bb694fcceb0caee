"""The model of an agent, with each of its answers recorded.

ADK asks models by `BaseLlm.generate_content_async`, and looks at their class and capabilities to know what they can do.
So a model stays what it is: its durable twin is a copy that differs in this one method, which asks the user's own.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from perdure.ext.adk import messages
from perdure.ext.adk.clock import Clock
from perdure.ext.adk.codecs import from_json, to_json
from perdure.ext.adk.failures import EndingErrors
from perdure.ext.codecs import Codec
from perdure.ext.conversation import Said
from perdure.ext.durable_here import durable_here
from perdure.ext.idempotency import with_key
from perdure.ext.missing import needs
from perdure.ext.model_calls import model_call
from perdure.sdk.capabilities.run_options import RunOptions

with needs("google-adk", extra="adk"):
    from google.adk.models.base_llm import BaseLlm
    from google.adk.models.llm_request import LlmRequest
    from google.adk.models.llm_response import LlmResponse
    from google.genai import types


def durable_model(model: BaseLlm, agent: str, invocation_id: str, options: RunOptions[Any] | None) -> BaseLlm:
    """The model's durable twin, for one agent in one invocation of ADK."""
    before = vars(model).get("generate_content_async")
    if isinstance(before, _DurableGeneration):  # ADK gives it to an agent that it makes for a tool
        model = before.model
    twin = model.model_copy()
    # pydantic lets no method be replaced by assignment
    object.__setattr__(twin, "generate_content_async", _DurableGeneration(model, agent, invocation_id, options))
    return twin


class _DurableGeneration:
    """`generate_content_async` of a durable twin."""

    def __init__(self, model: BaseLlm, agent: str, invocation_id: str, options: RunOptions[Any] | None) -> None:
        self.model = model
        self._agent = agent
        self._invocation_id = invocation_id
        self._options = options

    async def __call__(self, llm_request: LlmRequest, stream: bool = False) -> AsyncGenerator[LlmResponse, None]:
        ctx = durable_here(f"the model of agent {self._agent!r}")
        ending = ctx.attached(EndingErrors)
        ending.check(self._invocation_id)
        contents = llm_request.contents

        async def ask() -> _Answer:
            async with aclosing(self.model.generate_content_async(_of_step(llm_request), stream)) as responses:
                return _Answer([each async for each in responses], time.time())

        def said(answer: _Answer) -> Said:
            return messages.said(contents, answer.responses)

        try:
            asked = messages.asked(llm_request, self._agent)
            answer = await model_call(asked, ask, _ANSWER, said, self._options)
        except BaseException as error:
            ending.note(self._invocation_id, error)
            raise
        ctx.attached(Clock).reach(answer.at)
        for response in answer.responses:
            yield response


def _of_step(request: LlmRequest) -> LlmRequest:
    """The request for one try, a copy since models change it: a header tells the provider of which step it is a try."""
    options = request.config.http_options or types.HttpOptions()
    headers = with_key(options.headers or {})
    config = request.config.model_copy(update={"http_options": options.model_copy(update={"headers": headers})})
    return request.model_copy(update={"config": config, "contents": list(request.contents)})


class _Answer(msgspec.Struct, frozen=True):
    responses: list[LlmResponse]
    at: float
    """When it was there."""


def _answer_to_json(answer: _Answer) -> Any:
    return {"responses": [to_json(each) for each in answer.responses], "at": answer.at}


def _answer_from_json(value: Any) -> _Answer:
    return _Answer([from_json(LlmResponse, each) for each in value["responses"]], value["at"])


_ANSWER: Codec[_Answer] = Codec(_answer_to_json, _answer_from_json)
