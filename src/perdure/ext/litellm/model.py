"""A durable `completion`: what `litellm.acompletion` gives, recorded."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, cast

from perdure.errors import UsageError
from perdure.ext.codecs import Codec
from perdure.ext.conversation import Asked, Said, Usage
from perdure.ext.idempotency import with_key
from perdure.ext.litellm.messages import Message, recorded, sent
from perdure.ext.litellm.tools import as_offered
from perdure.ext.missing import needs
from perdure.ext.model_calls import model_call
from perdure.sdk.capabilities.run_options import RunOptions

with needs("litellm", extra="litellm"):
    import litellm
    from litellm import ModelResponse

_RECORDED: Final = (
    "frequency_penalty logit_bias logprobs max_completion_tokens max_tokens modalities n parallel_tool_calls "
    "presence_penalty reasoning_effort response_format seed service_tier stop temperature thinking tool_choice "
    "top_logprobs top_p verbosity web_search_options"
)
_RECORDED_SETTINGS: Final = frozenset(_RECORDED.split())
"""No others: among them are keys, headers and clients."""


class Completes(Protocol):
    """What may be asked in the place of LiteLLM itself: `litellm.Router`."""

    @property
    def acompletion(self) -> Any: ...


async def completion(
    model: str,
    messages: Sequence[Message],
    *,
    tools: Sequence[Callable[..., Any] | Mapping[str, Any]] | None = None,
    agent: str | None = None,
    router: Completes | None = None,
    run_options: RunOptions[Any] | None = None,
    **settings: Any,
) -> ModelResponse:
    """`litellm.acompletion`, durable: the model is asked until its response is recorded, and never again after that.

    `tools`: functions, offered by their name, docstring and parameters, or dicts as LiteLLM takes them.
    `agent`: who asks, for people who read the journal. `router`: asks through it, with its own fallbacks.
    `run_options`: how often it is tried, and how long. Without a limit, the invocation's policy says.
    `settings`: all else that `acompletion` takes, also `timeout`, `fallbacks` and `num_retries`: what LiteLLM does by
    these happens inside of one try. The provider's client does not retry by itself, unless `max_retries` says so.

    Raises:
        TerminalError: the provider refuses the request for good, or the options allow no further try.
        NotInHandler: there is no journal here; use `litellm.acompletion`.
        UsageError: `stream=True`.
    """
    if settings.get("stream"):
        raise UsageError(
            "a durable completion gives one whole response: leave out stream=True. What is streamed cannot be recorded "
            "before it ends; to stream without a record, use litellm.acompletion inside of a run"
        )
    asked = Asked(
        model,
        [recorded(each) for each in messages],
        tools=[each.get("function", each) for each in as_offered(tools or ())],
        settings=_settings(settings),
        agent=agent,
    )

    async def ask() -> ModelResponse:
        # A client that retries waits inside of the step, where nobody sees it, and multiplies what the options allow.
        request: dict[str, Any] = {"max_retries": 0, **settings}
        if router is None and not settings.get("fallbacks"):  # those send it to others as well, with headers of theirs
            request["extra_headers"] = _headers(settings)
        if tools:
            request["tools"] = as_offered(tools)
        acompletion: Any = litellm.acompletion if router is None else router.acompletion
        return cast(
            ModelResponse, await acompletion(model=model, messages=[sent(each) for each in messages], **request)
        )

    return await model_call(asked, ask, _RESPONSE, _said, run_options)


def _headers(settings: Mapping[str, Any]) -> dict[str, str]:
    """The headers of one try: one tells the provider of which step it is a try, unless the caller has said so."""
    return dict(with_key(settings.get("extra_headers") or {}, besides=settings.get("headers") or ()))


def _settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in settings.items() if name in _RECORDED_SETTINGS and value is not None}
    if isinstance(told.get("response_format"), type):
        told["response_format"] = told["response_format"].__name__
    return told


def _said(response: ModelResponse) -> Said:
    choice: Any = response.choices[0] if response.choices else None
    usage: Any = getattr(response, "usage", None)
    details: Any = getattr(usage, "prompt_tokens_details", None)
    return Said(
        [] if choice is None else [recorded(choice.message)],
        model=response.model,
        usage=usage
        and Usage(usage.prompt_tokens or 0, usage.completion_tokens or 0, getattr(details, "cached_tokens", None) or 0),
        finish_reason=choice and choice.finish_reason,
    )


def _to_json(response: Any) -> dict[str, Any]:
    told = response.model_dump(mode="json", warnings=False)
    cost = response._hidden_params.get("response_cost")  # where LiteLLM keeps it, and has its users look
    return told if cost is None else {**told, "response_cost": cost}


def _from_json(told: dict[str, Any]) -> ModelResponse:
    cost = told.pop("response_cost", None)
    response: Any = ModelResponse(**told)
    if cost is not None:
        response._hidden_params["response_cost"] = cost
    return response


_RESPONSE: Final[Codec[ModelResponse]] = Codec(_to_json, _from_json)
