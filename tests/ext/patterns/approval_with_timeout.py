"""A tool that waits for a person, for three hours."""

from perdure.testing.model import ChatRequest, Reply
from tests.ext.patterns.approval import CLAIM
from tests.ext.patterns.pattern import Pattern
from tests.ext.patterns.people import answering
from tests.ext.patterns.saying import calling


def script(request: ChatRequest) -> Reply:
    if said := list(request.results.values()):
        return Reply("Paid, as nobody answered." if "nobody answered" in said[-1] else f"By a person: {said[-1]}.")
    return calling(request, "human_review", **CLAIM)


PATTERN = Pattern("approval_with_timeout", "Claims/decide", CLAIM, "Paid, as nobody answered.", script)
IN_TIME = Pattern(
    "approval_with_timeout",
    "Claims/decide",
    CLAIM,
    "By a person: approved.",
    script,
    variant="in_time",
    meanwhile=answering(True),
)
