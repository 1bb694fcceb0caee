"""A planner, workers, an editor, with Pydantic AI: the model decides how many workers there are."""

from pydantic_ai import Agent

import perdure
from orchestrator_workers.roles import EDITOR, PLANNER, WORKER, Section, titles
from perdure.ext.pydantic_ai import DurableAgent

report = perdure.Service("Report")
worker_agent = perdure.Service("WorkerAgent")

planner = DurableAgent(Agent("openai:gpt-4o-mini", name="Planner", instructions=PLANNER))
worker = DurableAgent(Agent("openai:gpt-4o-mini", name="Worker", instructions=WORKER))
editor = DurableAgent(Agent("openai:gpt-4o-mini", name="Editor", instructions=EDITOR))


@report.handler("write")
async def write_report(ctx: perdure.Context, topic: str) -> str:
    """Write a report on a topic."""
    plan = await planner.run(topic)
    # The workers can run anywhere: serve `worker_agent` in other processes, and these lines stay as they are.
    sections = [ctx.service_call(write_section, Section(topic=topic, title=title)) for title in titles(plan.output)]
    written = await perdure.all_succeeded(*sections)
    edited = await editor.run("\n\n".join(written))
    return edited.output


@worker_agent.handler("write")
async def write_section(ctx: perdure.Context, section: Section) -> str:
    """Write one section."""
    result = await worker.run(f"{section.topic}: {section.title}")
    return result.output


app = perdure.app([report, worker_agent])
