"""An agent written by hand with LiteLLM: ask the model, run all tools that it calls at once, until it answers."""

import os
from collections.abc import Callable, Sequence
from typing import Any

from perdure import RunOptions, TerminalError
from perdure.ext.litellm import call_tools, completion

MODEL = os.environ.get("LITELLM_MODEL", "openai/gpt-4o-mini")
STEPS_MAX = 10


async def run_agent(prompt: str, question: str, tools: Sequence[Callable[..., Any]] = ()) -> str:
    """The model's answer. Each time that it is asked is a step, and so is each plain function that it calls."""
    messages: list[Any] = [{"role": "system", "content": prompt}, {"role": "user", "content": question}]
    for _ in range(STEPS_MAX):
        response = await completion(MODEL, messages, tools=tools, run_options=RunOptions(max_attempts=3))
        message = response.choices[0].message
        messages.append(message)
        if not message.tool_calls:
            return message.content or ""
        messages += await call_tools(response, tools)
    raise TerminalError(f"the model still calls tools after {STEPS_MAX} steps")
