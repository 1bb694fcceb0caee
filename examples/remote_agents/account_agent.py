"""A specialist, in a process of its own: `perdure serve remote_agents.account_agent:app --port 9082`."""

import perdure
from perdure import RunOptions
from perdure.llm import llm_call
from support_desk import Question

account_agent = perdure.Service("AccountAgent")


@account_agent.handler("run")
async def get_account_support(ctx: perdure.Context, question: Question) -> str | None:
    """Answer a question on logins and security."""
    result = await ctx.run_typed(
        "LLM call",
        llm_call,
        RunOptions(max_attempts=3),
        messages=[
            {
                "role": "system",
                "content": "You are a account support specialist. "
                "Acknowledge the login issue, explain how to get back in safely, provide next steps. "
                "Reply to the customer in two or three sentences.",
            },
            {"role": "user", "content": question.message},
        ],
    )
    return result.content


app = perdure.app([account_agent])
