"""Model calls of ADK's agents: each is one entry of the journal, which holds what is new."""

from collections.abc import AsyncGenerator

import msgspec
import pytest
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.genai import types

import perdure
from perdure.testing import Harness
from perdure.testing.model import Answer, ChatRequest, Fault, Reply, ScriptedModel, Usage
from tests.ext.adk.asking import GEMINI, Asking, assistant, journal_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

CALLS = 100


def step_number(done: int) -> str:
    """Do a step."""
    return f"done {done}"


def a_hundred_times(request: ChatRequest) -> Reply:
    done = sum(message["role"] == "tool" for message in request.messages)
    return Reply("finished") if done == CALLS - 1 else Reply.calling(("step_number", {"done": done}))


async def test_a_call_is_an_entry_that_says_what_was_asked_and_said(model: ScriptedModel) -> None:
    model.script = lambda request: Answer(Reply("42"), usage=Usage(12, 3, 4))
    asking = Asking(assistant(instruction="Be brief."))
    async with Harness([asking.service]) as h:
        assert await h.call(asking.ask_once, "What is six times seven?") == "42"
        assert journal_of(h).names("run") == ["timestamp", "ann asks " + GEMINI]
        [entry] = journal_of(h).runs("ann asks " + GEMINI)
    record = entry.value["model_call"]
    assert record["messages"] == [{"role": "user", "content": "What is six times seven?"}]
    assert record["said"] == [{"role": "assistant", "content": "42"}]
    assert record["instructions"].startswith("Be brief.")
    assert record["usage"] == {"input_tokens": 12, "output_tokens": 3, "cached_tokens": 4}
    assert (record["agent"], record["finish_reason"], record["answered_by"]) == ("ann", "STOP", GEMINI)
    assert record["latency_ms"] >= 0


async def test_a_recorded_answer_is_not_asked_for_again(model: ScriptedModel) -> None:
    asking = Asking(assistant(tools=[step_number]))
    model.script = lambda request: Reply("ok") if request.results else Reply.calling(("step_number", {"done": 1}))
    async with Harness([asking.service], always_replay=True) as h:
        assert await h.call(asking.ask_once, "Go") == "ok"
    assert len(model.log.calls) == 2


async def test_all_tries_of_a_call_have_one_key_and_each_call_another(model: ScriptedModel) -> None:
    model.faults.append(Fault(status=500))
    asking = Asking(assistant(tools=[step_number]))
    model.script = lambda request: Reply("ok") if request.results else Reply.calling(("step_number", {"done": 1}))
    async with Harness([asking.service]) as h:
        await h.call(asking.ask_once, "hello")
    first, second, third = [call.key for call in model.log.calls]
    assert first is not None
    assert first == second != third


async def test_a_key_of_the_users_own_is_kept(model: ScriptedModel) -> None:
    options = types.HttpOptions(headers={"idempotency-key": "mine"})
    asking = Asking(assistant(generate_content_config=types.GenerateContentConfig(http_options=options)))
    async with Harness([asking.service]) as h:
        await h.call(asking.ask_once, "hello")
    assert [call.key for call in model.log.calls] == ["mine"]


async def test_the_journal_of_a_hundred_calls_is_linear(model: ScriptedModel) -> None:
    model.script = a_hundred_times
    asking = Asking(assistant(tools=[step_number]))
    async with Harness([asking.service]) as h:
        assert await h.call(asking.ask_once, "Go on") == "finished"
        runs = journal_of(h).runs("ann asks " + GEMINI)
    sizes = [len(msgspec.json.encode(run.value)) for run in runs]
    assert len(sizes) == CALLS
    assert max(sizes[50:]) < 1.2 * max(sizes[1:50])  # the 100th is not larger than those before it
    assert [run.value["model_call"]["follows"]["call"] for run in runs[1:]] == list(range(1, CALLS))


async def test_a_later_turn_of_a_session_records_only_what_is_new(model: ScriptedModel) -> None:
    model.script = lambda request: Reply(f"answer {len(request.messages)}")
    asking = Asking(assistant())
    async with Harness([asking.object]) as h:
        for question in ("first", "second", "third"):
            await h.call(asking.ask, question, key="ada")
        journal = journal_of(h, "Tested/ask")
        [run] = journal.runs("ann asks " + GEMINI)
    assert [message["content"] for message in run.value["model_call"]["messages"]] == ["third"]
    assert run.value["model_call"]["follows"] == {"session": "the-session", "messages": 4}
    assert "first" not in str([entry.value for entry in journal[1:]])


class Parrot(BaseLlm):
    """A user's own model."""

    heard: list[str]

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        text = llm_request.contents[-1].parts[0].text
        llm_request.contents.append(types.UserContent("what a model adds is its own"))
        self.heard.append(text)
        yield LlmResponse(content=types.ModelContent([types.Part(text=text, thought_signature=b"\xff\x00")]))


@pytest.mark.parametrize("always_replay", [False, True])
async def test_the_users_own_model_is_asked_and_the_agent_stays_as_it_is(always_replay: bool) -> None:
    parrot = Parrot(model="parrot", heard=[])
    agent = assistant(model=parrot)
    asking = Asking(agent)
    async with Harness([asking.service], always_replay=always_replay) as h:
        assert await h.call(asking.ask_once, "hello") == "hello"
        assert journal_of(h).names("run")[-1] == "ann asks parrot"
    assert parrot.heard == ["hello"]
    assert agent.model is parrot
    assert "generate_content_async" not in vars(parrot)


class Shy(BaseLlm):
    """A model that calls a tool without giving the call an id, as Gemini does."""

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        called = any(part.function_response for part in llm_request.contents[-1].parts)
        call = types.Part.from_function_call(name="step_number", args={"done": 1})
        yield LlmResponse(content=types.ModelContent([types.Part(text="done") if called else call]))


async def test_calls_without_ids_are_told_apart_in_a_later_turn() -> None:
    asking = Asking(assistant(model=Shy(model="shy"), tools=[step_number]))
    async with Harness([asking.object]) as h:
        for question in ("first", "second"):
            await h.call(asking.ask, question, key="ada")
        asked, again = [run.value["model_call"] for run in journal_of(h, "Tested/ask").runs("ann asks shy")]
    assert [message["content"] for message in asked["messages"]] == ["second"]
    assert asked["follows"] == {"session": "the-session", "messages": 4}
    assert asked["said"][0]["tool_calls"][0]["id"] == "step_number-2"
    assert [message["tool_call_id"] for message in again["messages"]] == ["step_number-2"]


async def test_callbacks_of_the_agent_are_heard(model: ScriptedModel) -> None:
    heard: list[str] = []

    def before(callback_context: object, llm_request: LlmRequest) -> None:
        heard.append("before")

    def after(callback_context: object, llm_response: LlmResponse) -> LlmResponse:
        heard.append("after")
        return LlmResponse(content=types.ModelContent("changed"))

    asking = Asking(assistant(before_model_callback=before, after_model_callback=after))
    async with Harness([asking.service]) as h:
        assert await h.call(asking.ask_once, "hello") == "changed"
    assert heard == ["before", "after"]


async def test_ids_and_times_come_from_the_journal(model: ScriptedModel) -> None:
    service = perdure.Service("Events")
    runner = Asking(assistant(tools=[step_number])).runner
    seen: list[list[tuple[str, str, float]]] = []

    @service.handler()
    async def ask(ctx: perdure.Context) -> None:
        events = runner.run_async(user_id="u", session_id="s", new_message=types.UserContent("Go"))
        seen.append([])
        async for event in events:
            calls = [call.id for call in event.get_function_calls()]
            seen[-1].append((event.id, event.invocation_id, event.timestamp, *calls))

    model.script = lambda request: Reply("ok") if request.results else Reply.calling(("step_number", {"done": 1}))
    async with Harness([service], always_replay=True) as h:
        await h.call(ask)
    assert len(seen) > 2
    assert len(seen[-1]) == 3
    for attempt in seen:
        assert attempt == seen[-1][: len(attempt)]
    assert len({id for id, *_ in seen[-1]}) == 3
    times = [time for _, _, time, *_ in seen[-1]]
    assert times == sorted(times)
