"""Summaries of long sessions are steps, too."""

import pytest
from google.adk import Runner
from google.adk.apps import App
from google.adk.apps.app import EventsCompactionConfig

from perdure.ext.adk import DurablePlugin, DurableSessionService
from perdure.testing import Harness
from perdure.testing.model import ChatRequest, Fault, Reply, ScriptedModel
from tests.ext.adk.asking import Asking, assistant, journal_of

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings(r"ignore:\[EXPERIMENTAL\]:UserWarning"),
]


def script(request: ChatRequest) -> Reply:
    if "summarize the context" in request.question:
        return Reply("in short: trains")
    return Reply("summarized" if "in short: trains" in str(request.messages) else "not summarized")


def asking() -> Asking:
    every_turn = EventsCompactionConfig(compaction_interval=1, overlap_size=0)
    app = App(name="tested", root_agent=assistant(), plugins=[DurablePlugin()], events_compaction_config=every_turn)
    return Asking(Runner(app=app, session_service=DurableSessionService()))


@pytest.mark.parametrize("always_replay", [False, True])
async def test_a_session_is_summarized_once(model: ScriptedModel, always_replay: bool) -> None:
    model.script = script
    tested = asking()
    async with Harness([tested.object], always_replay=always_replay) as h:
        assert await h.call(tested.ask, "I like trains", key="ada") == "not summarized"
        assert journal_of(h, "Tested/ask").names("run")[-1] == "summarize 2 events"
        assert await h.call(tested.ask, "What do I like?", key="ada") == "summarized"
        assert journal_of(h, "Tested/ask").names("run")[-1] == "summarize 2 events"
    assert len(model.log.calls) == 4


async def test_a_summary_that_fails_is_tried_again(model: ScriptedModel) -> None:
    model.script = script
    model.aim(Fault(status=500), at="summarize the context", times=2)
    tested = asking()
    async with Harness([tested.object]) as h:
        await h.call(tested.ask, "I like trains", key="ada")
        assert await h.call(tested.ask, "What do I like?", key="ada") == "summarized"
