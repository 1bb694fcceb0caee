"""Routes a question to one of three specialists, each a service elsewhere: the decision and the call are durable."""

import json

import perdure
from perdure import RunOptions
from perdure.llm import llm_call
from support_desk import TOOLS, Question

remote_agent_router = perdure.Service("RemoteAgentRouter")


@remote_agent_router.handler()
async def answer(ctx: perdure.Context, question: Question) -> str | None:
    """Classify the question and route it to the agent that knows."""

    # 1. First, decide if a specialist is needed
    routing_decision = await ctx.run_typed(
        "Pick specialist",
        llm_call,
        RunOptions(max_attempts=3),
        messages=question.message,
        tools=TOOLS,
    )

    # 2. No specialist needed? Give a general answer
    if not routing_decision.tool_calls:
        return routing_decision.content

    # 3. Get the specialist's name
    specialist = routing_decision.tool_calls[0].function.name

    # 4. Call the specialist over HTTP
    response = await ctx.generic_call(
        specialist,
        "run",
        arg=question.model_dump_json().encode(),
    )
    return json.loads(response)


app = perdure.app([remote_agent_router])
