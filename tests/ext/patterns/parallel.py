"""Three agents at once, with one text."""

from parallel.prompts import KEY_POINTS, SENTIMENT, SUMMARY
from perdure.testing.model import ChatRequest, Reply
from tests.ext.patterns.pattern import Pattern

SAID = {SENTIMENT: "positive", KEY_POINTS: "it runs\nit lasts", SUMMARY: "A good lamp."}


def script(request: ChatRequest) -> Reply:
    return Reply(next(said for prompt, said in SAID.items() if prompt in request.instructions))


PATTERN = Pattern(
    "parallel",
    "TextAnalysis/analyze",
    "I like this lamp: it runs, and it lasts.",
    {"sentiment": "positive", "key_points": "it runs\nit lasts", "summary": "A good lamp."},
    script,
)
