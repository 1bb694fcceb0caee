"""A writer and a judge in turns, with OpenAI Agents, until the judge is content or three turns are over."""

from agents import Agent

import perdure
from evaluator_optimizer.roles import JUDGE, WRITER
from perdure.ext.openai import DurableRunner

translation = perdure.Service("Translation")

TURNS_MAX = 3
MODEL = "gpt-4o-mini"

writer = Agent(name="Writer", model=MODEL, instructions=WRITER)
judge = Agent(name="Judge", model=MODEL, instructions=JUDGE)


@translation.handler()
async def improve(ctx: perdure.Context, text: str) -> str:
    """Translate a text, and improve the translation by what the judge says."""
    draft = (await DurableRunner.run(writer, text)).final_output
    for _ in range(TURNS_MAX - 1):
        verdict = (await DurableRunner.run(judge, f"Text: {text}\nTranslation: {draft}")).final_output
        if verdict.startswith("PASS"):
            break
        asked = f"Text: {text}\nTranslation: {draft}\nWrong with it: {verdict}"
        draft = (await DurableRunner.run(writer, asked)).final_output
    return draft


app = perdure.app([translation])
