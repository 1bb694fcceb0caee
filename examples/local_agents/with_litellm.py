"""Routes a question to one of three specialists in the same handler, with LiteLLM. All model calls are durable."""

import perdure
from litellm_loop import MODEL
from perdure import RunOptions
from perdure.ext.litellm import completion
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
    options = RunOptions(max_attempts=3)
    asked = {"role": "user", "content": question.message}

    # The specialists are offered as tools: the model calls the one who is to answer, or none.
    routing = await completion(MODEL, [asked], tools=TOOLS, agent="Router", run_options=options)
    message = routing.choices[0].message
    if not message.tool_calls:
        return message.content

    specialist = message.tool_calls[0].function.name
    prompt = {"role": "system", "content": f"{PROMPTS[specialist]} Reply to the customer in two or three sentences."}
    answered = await completion(MODEL, [prompt, asked], agent=specialist, run_options=options)
    return answered.choices[0].message.content


app = perdure.app([agent_router])
