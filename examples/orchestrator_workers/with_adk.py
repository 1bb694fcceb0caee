"""A planner, workers, an editor, with Google ADK: the model decides how many workers there are."""

import perdure
from adk_runs import agent_of, run
from orchestrator_workers.roles import EDITOR, PLANNER, WORKER, Section, titles

report = perdure.Service("Report")
worker_agent = perdure.Service("WorkerAgent")

planner = agent_of("planner", PLANNER)
worker = agent_of("worker", WORKER)
editor = agent_of("editor", EDITOR)


@report.handler("write")
async def write_report(ctx: perdure.Context, topic: str) -> str:
    """Write a report on a topic."""
    plan = await run(planner, topic)
    # The workers can run anywhere: serve `worker_agent` in other processes, and these lines stay as they are.
    sections = [ctx.service_call(write_section, Section(topic=topic, title=title)) for title in titles(plan)]
    written = await perdure.all_succeeded(*sections)
    return await run(editor, "\n\n".join(written))


@worker_agent.handler("write")
async def write_section(ctx: perdure.Context, section: Section) -> str:
    """Write one section."""
    return await run(worker, f"{section.topic}: {section.title}")


app = perdure.app([report, worker_agent])
