"""A tool that fails twice and then works; and one that fails for good."""

from error_handling import forecasts
from perdure.testing.model import ChatRequest, Reply
from tests.ext.patterns.pattern import Pattern, Play
from tests.ext.patterns.saying import calling


def script(request: ChatRequest) -> Reply:
    if said := list(request.results.values()):
        return Reply(f"The weather: {said[-1]}")
    return calling(request, "get_weather", city="Atlantis" if "Atlantis" in request.question else "Paris")


async def be_down(play: Play) -> None:
    forecasts.tries.clear()


PATTERN = Pattern(
    "error_handling",
    "Weather/ask",
    "What is the weather in Paris?",
    "The weather: Paris: sunny, 21 degrees",
    script,
    before=be_down,
)
FOR_GOOD = Pattern(
    "error_handling",
    "Weather/ask",
    "What is the weather in Atlantis?",
    None,
    script,
    fails="there is no weather in Atlantis: it sank",
    variant="for_good",
)
