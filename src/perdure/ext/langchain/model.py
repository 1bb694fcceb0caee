"""Chat models whose requests are recorded.

The seam is `_agenerate`, which each chat model implements: binding of tools, structured output, retries, fallbacks and
chains are built upon it, and remain what they are. The durable model is of a subclass of the model's own class.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NoReturn, TypeVar, cast, overload

from perdure.errors import UsageError
from perdure.ext.durable_here import durable_here, in_step
from perdure.ext.langchain.cancelling import letting_cancels_pass
from perdure.ext.langchain.determinism import inline, message_id
from perdure.ext.langchain.idempotency import bound_with_key
from perdure.ext.langchain.messages import RESULT, asked, said
from perdure.ext.langchain.single_try import try_once
from perdure.ext.missing import needs
from perdure.ext.model_calls import model_call
from perdure.sdk.capabilities.run_options import RunOptions

with needs("langchain", extra="langchain"):
    from langchain.chat_models import init_chat_model
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.outputs import ChatResult
    from langchain_core.rate_limiters import BaseRateLimiter
    from langchain_core.tracers._streaming import (
        _StreamingCallbackHandler,  # pyright: ignore[reportPrivateUsage]  the only way to tell who wants tokens
        _V2StreamingCallbackHandler,  # pyright: ignore[reportPrivateUsage]  the same
    )

M = TypeVar("M", bound=BaseChatModel)

_NO_STREAMING: Final = (
    "tokens cannot be streamed durably: a response is recorded as a whole. Use ainvoke, or astream with "
    'stream_mode="updates" or "values"'
)


@dataclass(frozen=True, slots=True)
class Recorder:
    """What a durable model adds to the model."""

    options: RunOptions[Any] | None
    rate_limiter: BaseRateLimiter | None
    """The model's own: it is waited for in the step, and not before each replay."""


@overload
def durable_model(model: str, run_options: RunOptions[Any] | None = None) -> BaseChatModel: ...
@overload
def durable_model(model: M, run_options: RunOptions[Any] | None = None) -> M: ...
def durable_model(model: str | BaseChatModel, run_options: RunOptions[Any] | None = None) -> BaseChatModel:
    """The same chat model, with each of its requests recorded in the journal: for graphs that call models themselves.

    `run_options`: how often a request is tried, and how long; else the invocation's policy says it. A cache that is
    set for all models is not asked: what was recorded is not asked for again anyhow.
    """
    chosen = init_chat_model(model) if isinstance(model, str) else model
    if not isinstance(chosen, BaseChatModel):  # pyright: ignore[reportUnnecessaryIsInstance]  code without types
        raise UsageError(f"durable_model takes a chat model or a model's name, not {chosen!r}")
    if isinstance(chosen, _Durable):
        return chosen
    copied = chosen.model_copy(update={"cache": False, "rate_limiter": None, "disable_streaming": True})
    try_once(copied)
    state = copied.__getstate__()
    state["__dict__"]["recorder"] = Recorder(run_options, chosen.rate_limiter)
    durable_class = _durable_class(type(chosen))
    durable = durable_class.__new__(durable_class)
    durable.__setstate__(state)
    return durable


def is_durable(model: BaseChatModel) -> bool:
    """Whether `durable_model` made it."""
    return isinstance(model, _Durable)


class _Durable:
    """What stands in front of a model's own class: its `_agenerate` asks the model's own in a run."""

    recorder: Recorder

    async def _agenerate(
        self, messages: Any, stop: list[str] | None = None, run_manager: Any = None, **bound: Any
    ) -> ChatResult:
        ask = cast("Callable[..., Any]", super()._agenerate)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        durable_here("a durable chat model")
        fallback_id = f"lc_run--{message_id()}"  # LangChain's would differ on each replay
        if run_manager is not None:
            if any(
                isinstance(each, _StreamingCallbackHandler | _V2StreamingCallbackHandler)
                for each in run_manager.handlers
            ):
                raise UsageError(_NO_STREAMING)
            inline(run_manager.handlers)

        async def request() -> ChatResult:
            if self.recorder.rate_limiter is not None:
                await self.recorder.rate_limiter.aacquire(blocking=True)
            result: ChatResult = await ask(messages, stop=stop, run_manager=run_manager, **bound_with_key(self, bound))
            for each in result.generations:
                each.message.id = each.message.id or fallback_id
            return result

        given = bound if stop is None else {**bound, "stop": stop}
        agent = None if run_manager is None else cast("dict[str, Any]", run_manager.metadata).get("lc_agent_name")
        question = asked(cast(BaseChatModel, self), messages, given, agent)
        with letting_cancels_pass():
            return await model_call(question, request, RESULT, said, self.recorder.options)

    def _generate(
        self, messages: Any, stop: list[str] | None = None, run_manager: Any = None, **bound: Any
    ) -> ChatResult:
        if not in_step():
            raise UsageError("a durable chat model cannot be asked by invoke(), which blocks: await ainvoke()")
        generate = cast("Callable[..., Any]", super()._generate)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        return generate(messages, stop=stop, run_manager=run_manager, **bound)

    def stream(self, *_: Any, **__: Any) -> NoReturn:
        raise UsageError(_NO_STREAMING)

    def astream(self, *_: Any, **__: Any) -> NoReturn:
        raise UsageError(_NO_STREAMING)


@cache
def _durable_class(kind: type[M]) -> type[M]:
    fields = {"__annotations__": {"recorder": Any}, "recorder": None, "__module__": __name__}
    return cast("type[M]", type(f"Durable{kind.__name__}", (_Durable, kind), fields))
