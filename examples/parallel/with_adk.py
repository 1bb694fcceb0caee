"""Agents at the same time, with Google ADK and its workflows: three look at one text, each from its side."""

from google.adk import Agent, Runner, Workflow
from google.adk.apps import App
from google.adk.workflow import JoinNode
from google.genai.types import UserContent

import perdure
from parallel.prompts import KEY_POINTS, SENTIMENT, SUMMARY
from perdure.ext.adk import DurablePlugin, DurableSessionService

text_analysis = perdure.Service("TextAnalysis")

MODEL = "gemini-2.5-flash"

sentiment = Agent(name="sentiment", model=MODEL, instruction=SENTIMENT)
key_points = Agent(name="key_points", model=MODEL, instruction=KEY_POINTS)
summary = Agent(name="summary", model=MODEL, instruction=SUMMARY)

analysis = Workflow(name="analysis", edges=[("START", (sentiment, key_points, summary), JoinNode(name="put_together"))])
runner = Runner(
    app=App(name="text_analysis", root_agent=analysis, plugins=[DurablePlugin()]),
    session_service=DurableSessionService(),
)


@text_analysis.handler()
async def analyze(ctx: perdure.Context, text: str) -> dict[str, str]:
    """Have a text looked at from three sides."""
    run = runner.run_async(user_id="user", session_id="analyze", new_message=UserContent(text))
    events = [event async for event in run]
    return events[-1].output


app = perdure.app([text_analysis])
