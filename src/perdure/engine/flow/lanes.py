"""What rules look at of an invocation, and where it stands among those that look the same."""

from typing import NamedTuple


class Lane(NamedTuple):
    """Invocations of one lane pass the same limits, and wait in one line. What is missing is empty."""

    service: str
    handler: str
    deployment: str = ""
    scope: str = ""
    limit_key: str = ""


class Place(NamedTuple):
    """Where an invocation waits: higher `priority` first, then what has `begun` before, then the older one."""

    lane: Lane
    priority: int = 0
    begun: bool = False
