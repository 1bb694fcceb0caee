"""A tool that waits for a person."""

from perdure.testing.model import ChatRequest, Reply
from tests.ext.patterns.pattern import Pattern
from tests.ext.patterns.people import answering
from tests.ext.patterns.saying import calling

CLAIM = {"customer": "Ada", "amount": 900}


def script(request: ChatRequest) -> Reply:
    if said := list(request.results.values()):
        return Reply(f"The claim of Ada: {said[-1]}.")
    return calling(request, "human_review", **CLAIM)


PATTERN = Pattern(
    "approval", "Claims/decide", CLAIM, "The claim of Ada: approved.", script, meanwhile=answering(True)
)  # fmt: skip
REJECTED = Pattern(
    "approval",
    "Claims/decide",
    CLAIM,
    "The claim of Ada: rejected.",
    script,
    variant="rejected",
    meanwhile=answering(False),
)
