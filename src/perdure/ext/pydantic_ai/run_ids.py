"""The ids of the agents' runs in a handler."""

from perdure.sdk.context import Context


class RunIds:
    """Those of one attempt. The same on every attempt, as runs are begun in the same order."""

    def __init__(self) -> None:
        self._begun = 0

    def next(self, ctx: Context) -> str:
        """An id for the next run: the invocation's, and which of its runs it is."""
        self._begun += 1
        return f"{ctx.invocation_id}/{self._begun}"
