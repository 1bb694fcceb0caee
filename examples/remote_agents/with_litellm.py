"""Routes a question to one of three specialists, each a service elsewhere, with LiteLLM."""

import json

import perdure
from litellm_loop import MODEL
from perdure import RunOptions
from perdure.ext.litellm import completion
from support_desk import TOOLS, Question

remote_agent_router = perdure.Service("RemoteAgentRouter")


@remote_agent_router.handler()
async def answer(ctx: perdure.Context, question: Question) -> str | None:
    """Classify the question and route it to the agent that knows."""
    asked = {"role": "user", "content": question.message}

    # The specialists are offered as tools: the model calls the one who is to answer, or none.
    routing = await completion(MODEL, [asked], tools=TOOLS, agent="Router", run_options=RunOptions(max_attempts=3))
    message = routing.choices[0].message
    if not message.tool_calls:
        return message.content

    # The specialist may be written with another SDK, or in another language.
    specialist = message.tool_calls[0].function.name
    return json.loads(await ctx.generic_call(specialist, "run", arg=question.model_dump_json().encode()))


app = perdure.app([remote_agent_router])
