"""Agents at the same time, with OpenAI Agents: three look at one text, and what they say is put together."""

import asyncio

from agents import Agent

import perdure
from parallel.prompts import KEY_POINTS, SENTIMENT, SUMMARY
from perdure.ext.openai import DurableRunner

text_analysis = perdure.Service("TextAnalysis")

MODEL = "gpt-4o-mini"

AGENTS = {
    "sentiment": Agent(name="Sentiment", model=MODEL, instructions=SENTIMENT),
    "key_points": Agent(name="KeyPoints", model=MODEL, instructions=KEY_POINTS),
    "summary": Agent(name="Summary", model=MODEL, instructions=SUMMARY),
}


@text_analysis.handler()
async def analyze(ctx: perdure.Context, text: str) -> dict[str, str]:
    """Have a text looked at from three sides."""
    results = await asyncio.gather(*(DurableRunner.run(agent, text) for agent in AGENTS.values()))
    return {side: result.final_output for side, result in zip(AGENTS, results, strict=True)}


app = perdure.app([text_analysis])
