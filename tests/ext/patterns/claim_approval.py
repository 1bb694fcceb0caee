"""An agent that hears two others, which are services, on an insurance claim."""

from perdure.testing.model import ChatRequest, Reply
from tests.ext.patterns.pattern import Pattern
from tests.ext.patterns.saying import calling

CLAIM = {
    "date": "2024-10-01",
    "category": "orthopedic",
    "reason": "hospital bill for a broken leg",
    "amount": 3000,
    "placeOfService": "General Hospital",
}


def script(request: ChatRequest) -> Reply:
    """The specialists say what they think with a tool, or without one; the other agent hears both."""
    if said := list(request.results.values()):
        return Reply(f"approved: {' and '.join(said)}")
    verdicts = {"eligible", "low_risk"} & set(request.offered)
    if verdicts:
        return calling(request, *verdicts)
    if request.tools:
        return calling(request, *request.offered, **CLAIM)
    return Reply("eligible" if "eligible" in str(request.messages[0]) else "low_risk")


PATTERN = Pattern(
    "claim_approval",
    "MultiAgentClaimApproval/run",
    CLAIM,
    lambda said: said.startswith("approved") and "eligible" in said and "low_risk" in said,
    script,
)
