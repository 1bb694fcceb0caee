"""A specialist, in a process of its own: `perdure serve remote_agents.billing_agent:app --port 9081`."""

import perdure
from perdure import RunOptions
from perdure.llm import llm_call
from support_desk import Question

billing_agent = perdure.Service("BillingAgent")


@billing_agent.handler("run")
async def get_billing_support(ctx: perdure.Context, question: Question) -> str | None:
    """Answer a question on payments, charges and refunds."""
    result = await ctx.run_typed(
        "LLM call",
        llm_call,
        RunOptions(max_attempts=3),
        messages=[
            {
                "role": "system",
                "content": "You are a billing support specialist. "
                "Acknowledge the billing issue, explain charges clearly, provide next steps with timeline. "
                "Reply to the customer in two or three sentences.",
            },
            {"role": "user", "content": question.message},
        ],
    )
    return result.content


app = perdure.app([billing_agent])
