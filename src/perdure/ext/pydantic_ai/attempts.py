"""What an attempt at a handler knows of the agents that run in it."""

from perdure.sdk.context import Context, current_context


class Runs:
    """Its runs of agents. The same on every attempt, as they are begun in the same order."""

    def __init__(self) -> None:
        self._begun = 0

    def next_id(self, ctx: Context) -> str:
        """An id for the next one: the invocation's, and which of its runs it is."""
        self._begun += 1
        return f"{ctx.invocation_id}/{self._begun}"


class Cancels:
    """What said that the invocation is cancelled; no hook of an agent may make anything else of it."""

    def __init__(self) -> None:
        self.seen: Exception | None = None

    def check(self) -> None:
        """Raises it, if there is one."""
        if self.seen is not None:
            raise self.seen


def cancels() -> Cancels:
    """Those of the current attempt."""
    return current_context().attached(Cancels)
