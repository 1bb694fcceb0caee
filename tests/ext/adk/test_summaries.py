"""Summaries of long sessions are recorded, too."""

import pytest
from google.adk import Runner
from google.adk.apps import App
from google.adk.apps.app import EventsCompactionConfig
from google.adk.sessions import InMemorySessionService
from google.genai.types import UserContent

from perdure.ext.adk import DurablePlugin, DurableSessionService, final_answer
from perdure.testing import Harness
from perdure.testing.model import ChatRequest, Fault, Reply, ScriptedModel
from tests.ext.adk.asking import SESSION, USER, Asking, assistant, journal_of

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings(r"ignore:\[EXPERIMENTAL\]:UserWarning"),
]


def script(request: ChatRequest) -> Reply:
    if "summarize the context" in request.question:
        return Reply("in short: trains")
    return Reply("summarized" if "in short: trains" in str(request.messages) else "not summarized")


def asking(config: EventsCompactionConfig | None = None) -> Asking:
    config = config or EventsCompactionConfig(compaction_interval=1, overlap_size=0)  # every turn
    app = App(name="tested", root_agent=assistant(), plugins=[DurablePlugin()], events_compaction_config=config)
    return Asking(Runner(app=app, session_service=DurableSessionService()))


@pytest.mark.parametrize("always_replay", [False, True])
async def test_a_session_is_summarized_once(model: ScriptedModel, always_replay: bool) -> None:
    model.script = script
    tested = asking()
    async with Harness([tested.object], always_replay=always_replay) as h:
        assert await h.call(tested.ask, "I like trains", key="ada") == "not summarized"
        assert journal_of(h, "Tested/ask").names("run")[-1] == "summarizer asks gemini-2.5-flash"
        assert await h.call(tested.ask, "What do I like?", key="ada") == "summarized"
        assert journal_of(h, "Tested/ask").names("run")[-1] == "summarizer asks gemini-2.5-flash"
    assert len(model.log.calls) == 4


async def test_a_summary_that_fails_is_tried_again(model: ScriptedModel) -> None:
    model.script = script
    model.aim(Fault(status=500), at="summarize the context", times=2)
    tested = asking()
    async with Harness([tested.object]) as h:
        await h.call(tested.ask, "I like trains", key="ada")
        assert await h.call(tested.ask, "What do I like?", key="ada") == "summarized"


async def test_a_summary_is_recorded_as_the_call_of_a_model(model: ScriptedModel) -> None:
    model.script = script
    tested = asking()
    async with Harness([tested.object]) as h:
        await h.call(tested.ask, "I like trains", key="ada")
        recorded = journal_of(h, "Tested/ask").runs("summarizer asks gemini-2.5-flash")[-1].value["model_call"]
    assert recorded["model"] == "gemini-2.5-flash"
    assert recorded["follows"] == {"call": 1, "messages": 2}
    assert recorded["said"] == [{"role": "assistant", "content": "in short: trains"}]
    assert recorded["usage"]["input_tokens"] > 0


async def test_an_app_that_runs_elsewhere_may_share_the_config(model: ScriptedModel) -> None:
    model.script = script
    config = EventsCompactionConfig(compaction_interval=1, overlap_size=0)
    tested = asking(config)
    async with Harness([tested.object]) as h:
        await h.call(tested.ask, "I like trains", key="ada")
    elsewhere = InMemorySessionService()
    app = App(name="elsewhere", root_agent=assistant(), events_compaction_config=config)
    runner = Runner(app=app, session_service=elsewhere, auto_create_session=True)
    for question, answer in (("I like trains", "not summarized"), ("What do I like?", "summarized")):
        run = runner.run_async(user_id=USER, session_id=SESSION, new_message=UserContent(question))
        assert await final_answer(run) == answer
