"""A planner, workers, an editor, with LiteLLM: the model decides how many workers there are."""

import perdure
from litellm_loop import run_agent
from orchestrator_workers.roles import EDITOR, PLANNER, WORKER, Section, titles

report = perdure.Service("Report")
worker_agent = perdure.Service("WorkerAgent")


@report.handler("write")
async def write_report(ctx: perdure.Context, topic: str) -> str:
    """Write a report on a topic."""
    plan = await run_agent(PLANNER, topic)
    # The workers can run anywhere: serve `worker_agent` in other processes, and these lines stay as they are.
    sections = [ctx.service_call(write_section, Section(topic=topic, title=title)) for title in titles(plan)]
    written = await perdure.all_succeeded(*sections)
    return await run_agent(EDITOR, "\n\n".join(written))


@worker_agent.handler("write")
async def write_section(ctx: perdure.Context, section: Section) -> str:
    """Write one section."""
    return await run_agent(WORKER, f"{section.topic}: {section.title}")


app = perdure.app([report, worker_agent])
