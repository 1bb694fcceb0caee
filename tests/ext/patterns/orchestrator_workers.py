"""A planner, a worker for each section that it plans, an editor."""

from orchestrator_workers.roles import EDITOR, PLANNER, WORKER
from perdure.testing.model import ChatRequest, Reply
from tests.ext.patterns.pattern import Pattern


def script(request: ChatRequest) -> Reply:
    told = request.instructions
    if PLANNER in told:
        return Reply("1. History\n2. Routes")
    if WORKER in told:
        return Reply("They are old." if "History" in request.question else "They go to Vienna.")
    assert EDITOR in told
    return Reply(f"Night trains. {' '.join(request.question.split())}")


PATTERN = Pattern(
    "orchestrator_workers", "Report/write", "Night trains", "Night trains. They are old. They go to Vienna.", script
)  # fmt: skip
