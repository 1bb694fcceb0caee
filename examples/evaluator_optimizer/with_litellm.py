"""A writer and a judge in turns, with LiteLLM, until the judge is content or three turns are over."""

import perdure
from evaluator_optimizer.roles import JUDGE, WRITER
from litellm_loop import run_agent

translation = perdure.Service("Translation")

TURNS_MAX = 3


@translation.handler()
async def improve(ctx: perdure.Context, text: str) -> str:
    """Translate a text, and improve the translation by what the judge says."""
    draft = await run_agent(WRITER, text)
    for _ in range(TURNS_MAX - 1):
        verdict = await run_agent(JUDGE, f"Text: {text}\nTranslation: {draft}")
        if verdict.startswith("PASS"):
            break
        draft = await run_agent(WRITER, f"Text: {text}\nTranslation: {draft}\nWrong with it: {verdict}")
    return draft


app = perdure.app([translation])
