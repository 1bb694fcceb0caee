"""A tool that is a workflow, which waits for a person."""

from perdure.testing.model import ChatRequest, Reply
from tests.ext.patterns.approval import CLAIM
from tests.ext.patterns.pattern import Pattern
from tests.ext.patterns.people import answering
from tests.ext.patterns.saying import calling


def script(request: ChatRequest) -> Reply:
    if said := list(request.results.values()):
        return Reply(f"The claim of Ada: {said[-1]}.")
    return calling(request, "human_approval", **CLAIM)


PATTERN = Pattern(
    "sub_workflow", "Claims/decide", CLAIM, "The claim of Ada: approved.", script, meanwhile=answering(True)
)  # fmt: skip
