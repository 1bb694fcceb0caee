"""SmolLM2-135M in this process: decides by `decisions`, talks in a few sentences, is served as an endpoint on loopback.

It needs the extra `local-llm`. Loading takes half a second; a decision about 60 ms, a sentence about half a second on
two cores.
"""

import asyncio
import importlib
import json
import os
import re
import threading
from pathlib import Path
from typing import Any, cast

from perdure.llm.answers import Answer
from perdure.llm.arguments import arguments
from perdure.llm.chat import ChatRequest, Function, Message, Reply, ToolCall, ToolFunction
from perdure.llm.decisions import Decision
from perdure.llm.endpoint import LoopbackServer, chat_app
from perdure.llm.weights import ModelUnavailable, fetch_weights

MODEL = "smollm2-135m"

_TOKENS_MAX = 56  # of an answer: two or three sentences
_TOKENS_FILLED_IN = 300  # of JSON: what does not fit is cut, and says so
_TOKENS_READ = 2000  # most likely next tokens that a decision looks at, of 49,152
_CONTEXT_TOKENS = 2048
_DECIDES, _TALKS = 0, 1  # slots of the server: apart, so that each keeps what it read last


class LocalModel:
    """The model, loaded; `reply` may be called from several tasks, and takes one at a time.

    Raises:
        ModelUnavailable: the extra is not installed.
    """

    def __init__(self, weights: Path) -> None:
        try:
            xllamacpp: Any = importlib.import_module("xllamacpp")
        except ImportError as error:
            raise ModelUnavailable(
                "the embedded model needs the extra local-llm: `pip install xllamacpp`; "
                "or set OPENAI_BASE_URL or OPENAI_API_KEY to use another model"
            ) from error
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(weights)
        parameters.n_ctx = 2 * _CONTEXT_TOKENS
        parameters.n_parallel = 2
        parameters.verbosity = 0
        # Its threads wait for each other by spinning: on cores that others use too, more of them are far slower.
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = max(1, (os.cpu_count() or 2) // 2)
        self._server: Any = xllamacpp.Server(parameters)
        self._decisions: dict[bytes, Decision] = {}
        self._lock = threading.Lock()

    async def reply(self, request: ChatRequest) -> Reply | Answer:
        """Picks one of the tools, each once a conversation; with none left, says something, by the schema if any."""
        return await asyncio.to_thread(self._reply, request)

    def _reply(self, request: ChatRequest) -> Reply | Answer:
        called = _called(request.messages)
        left = [each.function for each in request.tools or () if each.function.name not in called]
        with self._lock:
            if left:
                picked = self._decision(left).pick(request.question)
                function = Function(picked.name, json.dumps(arguments(picked, request.question)))
                return Reply(tool_calls=[ToolCall(f"call_{len(called) + 1}", function)])
            if request.schema is not None:
                return self._fill_in(request.schema, request.messages)
            return Reply(content=self._say(request.messages))

    def _decision(self, tools: list[ToolFunction]) -> Decision:
        offered = json.dumps([[each.name, each.description, each.parameters] for each in tools]).encode()
        if offered not in self._decisions:
            self._decisions[offered] = Decision(tools, self._next_tokens)
        return self._decisions[offered]

    def _next_tokens(self, prompt: str) -> dict[str, float]:
        asked = {"prompt": prompt, "n_predict": 1, "n_probs": _TOKENS_READ, "temperature": 0, "id_slot": _DECIDES}
        answer = self._server.handle_completions(asked)
        likely: list[dict[str, Any]] = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        return {each["token"]: each["logprob"] for each in likely}

    def _say(self, messages: list[Message]) -> str:
        asked = {
            "messages": _plain(messages),
            "max_tokens": _TOKENS_MAX,
            "temperature": 0,
            "repeat_penalty": 1.1,
            "id_slot": _TALKS,
        }
        answer = self._server.handle_chat_completions(asked)
        return _whole_sentences(answer["choices"][0]["message"]["content"])

    def _fill_in(self, schema: dict[str, Any], messages: list[Message]) -> Answer:
        asked = {
            "messages": _plain(messages),
            "max_tokens": _TOKENS_FILLED_IN,
            "temperature": 0,
            "id_slot": _TALKS,
            "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}},
        }
        [choice] = self._server.handle_chat_completions(asked)["choices"]
        return Answer(Reply(choice["message"]["content"]), choice["finish_reason"])


async def shared_model() -> LocalModel:
    """This process's own model, loaded when first asked for.

    Raises:
        ModelUnavailable: the extra is not installed, or the weights cannot be had.
    """
    return await asyncio.to_thread(_loaded)


async def local_url() -> str:
    """The base URL of this process's own endpoint, started when first asked for; it lives as long as the process."""
    return await asyncio.to_thread(_served)


def _loaded() -> LocalModel:
    global _model
    with _starting:
        _model = _model or LocalModel(fetch_weights())
        return _model


def _served() -> str:
    global _server
    model = _loaded()
    with _starting:
        _server = _server or LoopbackServer(chat_app(model.reply, MODEL))
        return _server.base_url


_model: LocalModel | None = None
_server: LoopbackServer | None = None
_starting = threading.Lock()


def _called(messages: list[Message]) -> set[str]:
    """The tools that were called since the user spoke last."""
    called: set[str] = set()
    for message in messages:
        if message.get("role") == "user":
            called.clear()
        calls = cast(list[dict[str, Any]], message.get("tool_calls") or [])
        called.update(call["function"]["name"] for call in calls)
    return called


def _plain(messages: list[Message]) -> list[Message]:
    """A conversation in the roles that the model was trained on: what tools said becomes what the user says."""
    plain: list[Message] = []
    for message in messages:
        if message.get("tool_calls"):
            continue
        role = "user" if message.get("role") == "tool" else message.get("role", "user")
        if plain and plain[-1]["role"] == role:
            plain[-1] = {"role": role, "content": f"{plain[-1]['content']}\n{message.get('content')}"}
        else:
            plain.append({"role": role, "content": message.get("content")})
    return plain


def _whole_sentences(text: str) -> str:
    """What was said up to the last sentence's end, since the limit cuts anywhere. "1." ends none."""
    whole = re.match(r".*[^\W\d][)\"']?[.!?](?=\s|$)", text, re.DOTALL)
    return (whole.group() if whole else text).strip()
