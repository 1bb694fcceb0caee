"""Lanes: what rules look at of an invocation. And places: where an invocation waits in its lane."""

from sys import intern
from typing import NamedTuple


class Lane(NamedTuple):
    """Invocations of one lane pass the same limits, and wait in one line. What is missing is empty."""

    service: str
    handler: str
    deployment: str = ""
    scope: str = ""
    limit_key: str = ""

    def shared(self) -> "Lane":
        """The same lane; names that it has in common with many others are in memory once."""
        service, handler, deployment, scope, limit_key = self
        return Lane(intern(service), intern(handler), intern(deployment), intern(scope), limit_key)


class Place(NamedTuple):
    """Where an invocation waits: higher `priority` first, then what has `begun` before, then the older one."""

    lane: Lane
    priority: int = 0
    begun: bool = False
