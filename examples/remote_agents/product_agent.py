"""A specialist, in a process of its own: `perdure serve remote_agents.product_agent:app --port 9083`."""

import perdure
from perdure import RunOptions
from perdure.llm import llm_call
from support_desk import Question

product_agent = perdure.Service("ProductAgent")


@product_agent.handler("run")
async def get_product_support(ctx: perdure.Context, question: Question) -> str | None:
    """Answer a question on features and how to use them."""
    result = await ctx.run_typed(
        "LLM call",
        llm_call,
        RunOptions(max_attempts=3),
        messages=[
            {
                "role": "system",
                "content": "You are a product support specialist. "
                "Explain the feature that fits, and the steps to use it. "
                "Reply to the customer in two or three sentences.",
            },
            {"role": "user", "content": question.message},
        ],
    )
    return result.content


app = perdure.app([product_agent])
