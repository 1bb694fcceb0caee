"""Asks a model, from inside a run: `llm_call` is the whole interface that the examples need.

The step's key goes along as `Idempotency-Key`, so that an endpoint that honours it does not work twice when the same
step is executed again after a crash.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import pyqwest

from perdure.errors import NotInHandler, RetryableError, TerminalError
from perdure.http_threads import let_out_at_exit
from perdure.llm.chat import Message, Reply
from perdure.llm.completions import Completion
from perdure.llm.weights import ModelUnavailable
from perdure.retry_after import may_pass
from perdure.sdk.asked_delays import delay_asked_for
from perdure.sdk.capabilities.runs import run_key

MODEL_DEFAULT = "gpt-4o-mini"
OPENAI_URL = "https://api.openai.com/v1"
TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class ModelEndpoint:
    """Where a model is asked, and by which name."""

    base_url: str
    model: str
    api_key: str | None = None


def tool(*, name: str, description: str = "", examples: Sequence[str] = ()) -> dict[str, Any]:
    """Offers an agent to the model. It takes no arguments; the handler hands on what is needed. See `tool_of`.

    `examples`: questions that belong to it, in the JSON schema's own keyword; small models need them.
    """
    parameters: dict[str, Any] = {"type": "object", "properties": {}}
    if examples:
        parameters["examples"] = list(examples)
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


async def llm_call(messages: str | Sequence[Message], tools: Sequence[dict[str, Any]] | None = None) -> Reply:
    """Asks the model once. With `tools` it may answer with the tools to call instead of text.

    Raises:
        RetryableError: the endpoint is not there, is overloaded or failed; asking again may help.
        TerminalError: it refuses this request for good, or no endpoint is named and the small model is not installed.
    """
    try:
        endpoint = await model_endpoint()
    except ModelUnavailable as error:
        raise TerminalError(str(error), status_code=503) from error
    return await ask(endpoint, messages, tools)


async def ask(
    endpoint: ModelEndpoint, messages: str | Sequence[Message], tools: Sequence[dict[str, Any]] | None = None
) -> Reply:
    """Asks the model of an endpoint once. Raises `RetryableError` and `TerminalError` like `llm_call`."""
    asked = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
    body: dict[str, Any] = {"model": endpoint.model, "messages": asked}
    if tools:
        body["tools"] = list(tools)
    return await _post(endpoint, msgspec.json.encode(body))


async def model_endpoint() -> ModelEndpoint:
    """The endpoint that the environment names, or this process's own small model."""
    base_url, api_key = os.environ.get("OPENAI_BASE_URL"), os.environ.get("OPENAI_API_KEY")
    model = os.environ.get("OPENAI_MODEL")
    if base_url or api_key:
        return ModelEndpoint((base_url or OPENAI_URL).rstrip("/"), model or MODEL_DEFAULT, api_key)
    from perdure.llm.local import local_url  # not for those who have an endpoint: it is the extra `local-llm`

    return ModelEndpoint(await local_url(), "smollm2-135m")


async def _post(endpoint: ModelEndpoint, body: bytes) -> Reply:
    headers = {"content-type": "application/json"}
    if endpoint.api_key:
        headers["authorization"] = f"Bearer {endpoint.api_key}"
    with suppress(NotInHandler):  # asked outside of a handler, nothing will repeat it
        headers["idempotency-key"] = run_key()
    url = f"{endpoint.base_url}/chat/completions"
    try:
        response = await _client().post(url, headers, body)
    except (OSError, pyqwest.ReadError, pyqwest.WriteError, pyqwest.RemoteProtocolError, pyqwest.StreamError) as error:
        raise RetryableError(f"the model at {endpoint.base_url} cannot be reached: {error}", 503) from error
    if response.status >= 400:
        refusal = f"the model at {endpoint.base_url} answered {response.status}: {response.text()[:500]}"
        if may_pass(response.status):
            raise RetryableError(refusal, response.status, delay_asked_for(response.headers))
        raise TerminalError(refusal, response.status)
    try:
        return msgspec.json.decode(response.content, type=Completion).choices[0].message
    except (msgspec.DecodeError, IndexError) as error:
        raise RetryableError(f"the model at {endpoint.base_url} answered with no completion: {error}") from error


def _client() -> pyqwest.Client:
    global _shared
    if _shared is None:
        let_out_at_exit()
        _shared = pyqwest.Client(pyqwest.HTTPTransport(timeout=TIMEOUT_S, enable_otel=False))
    return _shared


_shared: pyqwest.Client | None = None
