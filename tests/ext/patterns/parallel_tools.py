"""Three tools in one answer of the model."""

from perdure.testing.model import ChatRequest, Reply
from tests.ext.patterns.pattern import Pattern
from tests.ext.patterns.saying import calling


def script(request: ChatRequest) -> Reply:
    if said := list(request.results.values()):
        return Reply(" | ".join(said))
    return calling(request, "find_flights", "find_hotels", "find_events", city="Lisbon")


PATTERN = Pattern(
    "parallel_tools",
    "Travel/plan",
    "Lisbon",
    "Flights to Lisbon: 7:30 and 18:10, 120 each | Hotels in Lisbon: the Old Mill, 90 a night"
    " | Events in Lisbon: a concert in the park on Saturday",
    script,
)
