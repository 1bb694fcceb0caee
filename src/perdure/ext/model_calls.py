"""A call of a model as one entry of the journal: what was asked, what was said, what it cost."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from perdure.ext.codecs import Codec
from perdure.ext.conversation import Asked, Conversations, Said
from perdure.ext.durable_here import durable_here
from perdure.ext.failures import of_provider
from perdure.ext.steps import Entry, step
from perdure.sdk.capabilities.run_options import RunOptions

R = TypeVar("R")

_log = logging.getLogger(__name__)


async def model_call(
    asked: Asked,
    ask: Callable[[], Awaitable[R]],
    codec: Codec[R],
    said: Callable[[R], Said],
    options: RunOptions[Any] | None = None,
) -> R:
    """Asks a model, once until its response is recorded. The entry is a run, named after who asks whom.

    `ask` does it, by the library's own means; `said` reads the response for the record. Without `options`, the
    invocation's policy says how often it is tried; a delay that the provider asks for is kept either way.

    Raises:
        TerminalError: the provider refuses the request for good, or the options allow no further try.
        NotInHandler: there is no journal here.
    """
    ctx = durable_here("a durable model call")
    conversations = ctx.attached(Conversations)
    call = conversations.ask(asked)
    name = f"{asked.agent} asks {asked.model}" if asked.agent else f"ask {asked.model}"

    async def guarded() -> R:
        try:
            return await ask()
        except Exception as error:  # each library has its own: what is final is told from what is tried again
            raised = of_provider(error)
            if raised is error:
                raise
            raise raised from error

    def describe(response: R) -> dict[str, Any]:
        answer = said(response)
        return {
            **call.new,
            "said": list(answer.messages),
            "answered_by": answer.model,
            "usage": None if answer.usage is None else msgspec.to_builtins(answer.usage),
            "finish_reason": answer.finish_reason,
        }

    response = await step(ctx, name, guarded, Entry("model_call", describe, "response", codec), options)
    try:
        conversations.answered(call, said(response))
    except Exception:  # noqa: BLE001  it is paid for: what is not understood of it must not stop the agent
        _log.warning("the response of %r is recorded, and cannot be shown to people", name, exc_info=True)
    return response
