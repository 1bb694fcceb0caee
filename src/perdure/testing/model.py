"""A model that says what a test wants, served like a real one, that counts who asked for what.

    with ScriptedModel(lambda request: Reply(content="42")) as model:
        environment = model.environment
        ...
        assert model.log.count("What is six times seven?") == 1

It serves OpenAI's chat completions and responses, Anthropic's messages and Google's Gemini on loopback, in a thread of
its own, whole or in pieces.
"""

import http.client
import inspect
import traceback
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import msgspec

from perdure.llm.answers import Answer, Usage
from perdure.llm.chat import ChatRequest, Function, Reply, ToolCall
from perdure.llm.endpoint import LoopbackServer, Unanswerable, chat_app
from perdure.testing.call_log import Call, CallLog, Fate
from perdure.testing.faults import Aim, CloseableProtocol, Fault, Faulty

__all__ = [
    "Answer",
    "Call",
    "ChatRequest",
    "Fate",
    "Fault",
    "Function",
    "Reply",
    "Script",
    "ScriptedModel",
    "ToolCall",
    "Usage",
    "first_tool",
    "in_turn",
    "smollm2",
]

Script = Callable[[ChatRequest], Reply | Answer | Awaitable[Reply | Answer]]


def first_tool(request: ChatRequest) -> Reply:
    """Where nothing is scripted: calls the first tool that is offered, and says what it returned.

    Without tools it repeats the question.
    """
    if request.results:
        return Reply(content=" ".join(request.results.values()))
    if request.offered:
        return Reply.calling((request.offered[0], {}))
    return Reply(content=f"You asked: {request.question}")


def in_turn(*answers: Reply | Answer) -> Script:
    """These answers one after the other. Who asks the very same again, as after a crash, gets the same again."""
    left = deque(answers)
    given: dict[bytes, Reply | Answer] = {}

    def answer(request: ChatRequest) -> Reply | Answer:
        asked = msgspec.json.encode(request, order="sorted")
        if asked not in given:
            if not left:
                raise LookupError(f"the script has {len(answers)} answers, and was asked for one more")
            given[asked] = left.popleft()
        return given[asked]

    return answer


async def smollm2(request: ChatRequest) -> Reply | Answer:
    """What the embedded SmolLM2-135M says. It needs the extra `local-llm`, and no key."""
    from perdure.llm.local import shared_model  # not for those who script: it is an extra

    return await (await shared_model()).reply(request)


class ScriptedModel:
    """Replies by `script`. `faults` befall the next calls, one each; `usually` befalls all others; see also `aim`."""

    def __init__(self, script: Script = first_tool, *, usually: Fault | None = None) -> None:
        self.script = script
        self.usually = usually or Fault()
        self.faults: deque[Fault] = deque()
        self.aims: list[Aim] = []
        """What `aim` has made, oldest first."""
        self.log = CallLog(Faulty(chat_app(self._reply, "scripted"), self._fault))
        self._server = LoopbackServer(self.log, http=CloseableProtocol)
        self.base_url = self._server.base_url
        """For OpenAI's clients, as `OPENAI_BASE_URL`."""
        self.anthropic_url = self.gemini_url = self._server.root_url
        """For Anthropic's and Google's clients, which add the version to it."""

    @property
    def environment(self) -> dict[str, str]:
        """All variables that clients read, so that they ask this model and no other."""
        return {
            "OPENAI_BASE_URL": self.base_url,
            "OPENAI_API_BASE": self.base_url,
            "OPENAI_API_KEY": "none",
            "OPENAI_AGENTS_DISABLE_TRACING": "1",  # traces would go to OpenAI itself
            "ANTHROPIC_BASE_URL": self.anthropic_url,
            "ANTHROPIC_API_KEY": "none",
            "GOOGLE_GEMINI_BASE_URL": self.gemini_url,
            "GOOGLE_API_KEY": "none",
            "GEMINI_API_BASE": f"{self.gemini_url}/v1beta",  # LiteLLM's
            "LITELLM_LOCAL_MODEL_COST_MAP": "true",  # else it fetches prices when imported
        }

    def aim(
        self,
        fault: Fault,
        *,
        at: str | Callable[[ChatRequest], bool] = "",
        nth: int | None = None,
        times: int | None = None,
    ) -> None:
        """Lets a fault befall calls from now on, before `faults` and `usually` are asked.

        `at`: only those whose question has these words in it, or of whom this is true. `nth`: of those, only this one,
        1 for the next. `times`: of those, only so many.
        """
        self.aims.append(Aim(fault, at, nth, times))

    def forget(self) -> None:
        """As if nobody had asked it for anything, and no faults were planned but `usually`; the script stays."""
        self.log.clear()
        self.faults.clear()
        self.aims.clear()

    def catch_up(self) -> None:
        """Blocks until all requests that were sent before are in the log."""
        for _ in range(2):  # the first may be read together with one of those, and be answered before that is logged
            asking = http.client.HTTPConnection(urlsplit(self._server.root_url).netloc, timeout=60)
            asking.request("GET", "/v1/models")
            asking.getresponse().read()
            asking.close()

    def close(self) -> None:
        """Stops serving."""
        self._server.close()

    def _fault(self, call: Call) -> Fault:
        aimed = [aim for aim in self.aims if aim.hits(call)]
        if aimed:
            aimed[0].spent += 1
            return aimed[0].fault
        return self.faults.popleft() if self.faults else self.usually

    async def _reply(self, request: ChatRequest) -> Answer:
        try:
            said = self.script(request)
            said = await said if inspect.isawaitable(said) else said
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            raise Unanswerable(f"the script failed at {where}: {type(error).__name__}: {error}") from error
        answer = Answer(said) if isinstance(said, Reply) else said
        return msgspec.structs.replace(answer, model=answer.model or request.model or None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
