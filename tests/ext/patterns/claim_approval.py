"""An agent that hears two others, which are services, on an insurance claim."""

from typing import Any

from perdure.testing.model import ChatRequest, Reply, Script
from tests.ext.patterns.pattern import Pattern
from tests.ext.patterns.saying import calling

CLAIM = {
    "date": "2024-10-01",
    "category": "orthopedic",
    "reason": "hospital bill for a broken leg",
    "amount": 3000,
    "placeOfService": "General Hospital",
}


def deciding_on(claim: dict[str, Any]) -> Script:
    """The specialists say what they think with a tool, or without one; the other agent hears both on this claim."""

    def script(request: ChatRequest) -> Reply:
        if said := list(request.results.values()):
            return Reply(f"approved: {' and '.join(said)}")
        verdicts = {"eligible", "low_risk"} & set(request.offered)
        if verdicts:
            return calling(request, *verdicts)
        if request.tools:
            return calling(request, *request.offered, **claim)
        return Reply("eligible" if "eligible" in str(request.messages[0]) else "low_risk")

    return script


PATTERN = Pattern(
    "claim_approval",
    "MultiAgentClaimApproval/run",
    CLAIM,
    lambda said: said.startswith("approved") and "eligible" in said and "low_risk" in said,
    deciding_on(CLAIM),
)
