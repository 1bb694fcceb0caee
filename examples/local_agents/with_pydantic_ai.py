"""Routes a question to one of three specialists in the same handler, with Pydantic AI: the specialists are tools."""

from pydantic_ai import Agent, Tool

import perdure
from local_agents.router import PROMPTS
from perdure.ext.pydantic_ai import DurableAgent
from support_desk import SPECIALISTS, Question

agent_router = perdure.Service("AgentRouter")


def ask(name: str) -> Tool[object]:
    """A specialist as a tool. It runs with the context, so what it asks its model is recorded like all else."""
    specialist = DurableAgent(Agent("openai:gpt-4o-mini", name=name, instructions=PROMPTS[name]))

    async def answer(message: str) -> str:
        result = await specialist.run(message)
        return result.output

    return Tool(answer, name=f"ask_{name}", description=SPECIALISTS[name])


router = DurableAgent(
    Agent(
        "openai:gpt-4o-mini",
        name="Router",
        instructions="Have the specialist who knows answer the question, and give that answer as it is.",
        tools=[ask(name) for name in SPECIALISTS],
    )
)


@agent_router.handler()
async def answer(ctx: perdure.Context, question: Question) -> str:
    """Classify the question and have it answered by the specialist who knows."""
    result = await router.run(question.message)
    return result.output


app = perdure.app([agent_router])
