"""Agents one after another, with Google ADK and its workflows: each works on what the one before it wrote."""

from google.adk import Agent, Runner, Workflow
from google.adk.apps import App
from google.genai.types import UserContent

import perdure
from perdure.ext.adk import DurablePlugin, DurableSessionService, final_answer
from sequential.prompts import ASSESS, EXPLAIN, PARSE

reimbursement = perdure.Service("Reimbursement")

MODEL = "gemini-2.5-flash"

parser = Agent(name="parser", model=MODEL, instruction=PARSE)
assessor = Agent(name="assessor", model=MODEL, instruction=ASSESS)
explainer = Agent(name="explainer", model=MODEL, instruction=EXPLAIN)

pipeline = Workflow(name="pipeline", edges=[("START", parser, assessor, explainer)])
runner = Runner(
    app=App(name="reimbursement", root_agent=pipeline, plugins=[DurablePlugin()]),
    session_service=DurableSessionService(),
)


@reimbursement.handler()
async def process(ctx: perdure.Context, document: str) -> str:
    """Parse an expense document, assess it, explain the decision."""
    message = UserContent(document)
    return await final_answer(runner.run_async(user_id="user", session_id="process", new_message=message))


app = perdure.app([reimbursement])
