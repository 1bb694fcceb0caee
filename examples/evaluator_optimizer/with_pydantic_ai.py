"""A writer and a judge in turns, with Pydantic AI, until the judge is content or three turns are over."""

from pydantic_ai import Agent

import perdure
from evaluator_optimizer.roles import JUDGE, WRITER
from perdure.ext.pydantic_ai import DurableAgent

translation = perdure.Service("Translation")

TURNS_MAX = 3

writer = DurableAgent(Agent("openai:gpt-4o-mini", name="Writer", instructions=WRITER))
judge = DurableAgent(Agent("openai:gpt-4o-mini", name="Judge", instructions=JUDGE))


@translation.handler()
async def improve(ctx: perdure.Context, text: str) -> str:
    """Translate a text, and improve the translation by what the judge says."""
    draft = (await writer.run(text)).output
    for _ in range(TURNS_MAX - 1):
        verdict = (await judge.run(f"Text: {text}\nTranslation: {draft}")).output
        if verdict.startswith("PASS"):
            break
        draft = (await writer.run(f"Text: {text}\nTranslation: {draft}\nWrong with it: {verdict}")).output
    return draft


app = perdure.app([translation])
