"""A weather service that is down now and then: the first two times that a forecast is asked for, it fails."""

from collections import Counter

from perdure import TerminalError, run_key

tries: Counter[str] = Counter()


def forecast(city: str) -> str:
    """What the weather is like. For use in a step, which is tried again when it fails.

    Raises:
        ConnectionError: the service is down for a moment.
        TerminalError: there is no such city, and never will be.
    """
    if city == "Atlantis":
        raise TerminalError("there is no weather in Atlantis: it sank", status_code=404)
    tries[run_key()] += 1  # a step keeps its key, however often it is tried
    if tries[run_key()] <= 2:
        raise ConnectionError("the weather service is down")
    return f"{city}: sunny, 21 degrees"
