"""A planner, workers, an editor, with OpenAI Agents: the model decides how many workers there are."""

from agents import Agent

import perdure
from orchestrator_workers.roles import EDITOR, PLANNER, WORKER, Section, titles
from perdure.ext.openai import DurableRunner

report = perdure.Service("Report")
worker_agent = perdure.Service("WorkerAgent")

MODEL = "gpt-4o-mini"

planner = Agent(name="Planner", model=MODEL, instructions=PLANNER)
worker = Agent(name="Worker", model=MODEL, instructions=WORKER)
editor = Agent(name="Editor", model=MODEL, instructions=EDITOR)


@report.handler("write")
async def write_report(ctx: perdure.Context, topic: str) -> str:
    """Write a report on a topic."""
    plan = await DurableRunner.run(planner, topic)
    # The workers can run anywhere: serve `worker_agent` in other processes, and these lines stay as they are.
    sections = [
        ctx.service_call(write_section, Section(topic=topic, title=title)) for title in titles(plan.final_output)
    ]
    written = await perdure.all_succeeded(*sections)
    edited = await DurableRunner.run(editor, "\n\n".join(written))
    return edited.final_output


@worker_agent.handler("write")
async def write_section(ctx: perdure.Context, section: Section) -> str:
    """Write one section."""
    result = await DurableRunner.run(worker, f"{section.topic}: {section.title}")
    return result.final_output


app = perdure.app([report, worker_agent])
