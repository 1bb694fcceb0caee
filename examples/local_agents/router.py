"""Routes a question to one of three specialists in the same handler: each is a prompt. Both model calls are durable."""

import perdure
from perdure import RunOptions
from perdure.llm import llm_call
from support_desk import TOOLS, Question

agent_router = perdure.Service("AgentRouter")

PROMPTS = {
    "BillingAgent": "You are a billing support specialist. "
    "Acknowledge the billing issue, explain charges clearly, provide next steps with timeline.",
    "AccountAgent": "You are an account support specialist. "
    "Acknowledge the login issue, explain how to get back in safely, provide next steps.",
    "ProductAgent": "You are a product support specialist. Explain the feature that fits, and the steps to use it.",
}


@agent_router.handler()
async def answer(ctx: perdure.Context, question: Question) -> str | None:
    """Classify the question and answer it as the specialist who knows."""

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

    # 3. Ask the model again, with the specialist's prompt
    specialist = routing_decision.tool_calls[0].function.name
    result = await ctx.run_typed(
        f"Answer as {specialist}",
        llm_call,
        RunOptions(max_attempts=3),
        messages=[
            {"role": "system", "content": f"{PROMPTS[specialist]} Reply to the customer in two or three sentences."},
            {"role": "user", "content": question.message},
        ],
    )
    return result.content


app = perdure.app([agent_router])
