"""A writer and a judge in turns, with Google ADK, until the judge is content or three turns are over."""

import perdure
from adk_runs import agent_of, run
from evaluator_optimizer.roles import JUDGE, WRITER

translation = perdure.Service("Translation")

TURNS_MAX = 3

writer = agent_of("writer", WRITER)
judge = agent_of("judge", JUDGE)


@translation.handler()
async def improve(ctx: perdure.Context, text: str) -> str:
    """Translate a text, and improve the translation by what the judge says."""
    draft = await run(writer, text)
    for _ in range(TURNS_MAX - 1):
        verdict = await run(judge, f"Text: {text}\nTranslation: {draft}")
        if verdict.startswith("PASS"):
            break
        draft = await run(writer, f"Text: {text}\nTranslation: {draft}\nWrong with it: {verdict}")
    return draft


app = perdure.app([translation])
