"""A writer and a judge, until the judge is content."""

from evaluator_optimizer.roles import JUDGE
from perdure.testing.model import ChatRequest, Reply
from tests.ext.patterns.pattern import Pattern


def script(request: ChatRequest) -> Reply:
    said = str(request.messages[1:])
    if JUDGE in request.instructions:
        return Reply("PASS" if "Bonjour a tous" in said else "It forgets that there are many.")
    return Reply("Bonjour a tous" if "many" in said else "Bonjour")


PATTERN = Pattern("evaluator_optimizer", "Translation/improve", "Hello everybody", "Bonjour a tous", script)
NEVER = Pattern(
    "evaluator_optimizer",
    "Translation/improve",
    "Hello everybody",
    "draft 3",
    lambda request: _never_content(request),
    variant="never_content",
)


def _never_content(request: ChatRequest) -> Reply:
    if JUDGE in request.instructions:
        return Reply("Not yet.")
    said = str(request.messages[1:])
    return Reply("draft 3" if "draft 2" in said else "draft 2" if "draft 1" in said else "draft 1")
