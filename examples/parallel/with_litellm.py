"""Agents at the same time, with LiteLLM: three look at one text, and what they say is put together."""

import asyncio

import perdure
from litellm_loop import run_agent
from parallel.prompts import KEY_POINTS, SENTIMENT, SUMMARY

text_analysis = perdure.Service("TextAnalysis")


@text_analysis.handler()
async def analyze(ctx: perdure.Context, text: str) -> dict[str, str]:
    """Have a text looked at from three sides."""
    sentiment, key_points, summary = await asyncio.gather(
        run_agent(SENTIMENT, text), run_agent(KEY_POINTS, text), run_agent(SUMMARY, text)
    )
    return {"sentiment": sentiment, "key_points": key_points, "summary": summary}


app = perdure.app([text_analysis])
