"""A router hands over to a specialist in the same process."""

from perdure.testing.model import ChatRequest, Reply
from tests.ext.patterns.pattern import Pattern
from tests.ext.patterns.saying import calling

QUESTION = {"message": "I was charged twice for my subscription last month"}
ANSWER = "One of the two charges is on its way back."


def script(request: ChatRequest) -> Reply:
    if "billing support specialist" in str(request.messages):
        return Reply(ANSWER)
    if said := list(request.results.values()):  # the specialist was a tool, and has answered
        return Reply(said[-1])
    if "transfer_to_agent" in request.offered:
        return Reply.calling(("transfer_to_agent", {"agent_name": "BillingAgent"}))
    specialist = next(name for name in request.offered if "billing" in name.lower())
    return calling(request, specialist, **QUESTION)


PATTERN = Pattern("local_agents", "AgentRouter/answer", QUESTION, ANSWER, script)
