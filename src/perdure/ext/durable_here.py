"""Where agents are durable: inside of a handler. Elsewhere they stop and say so, rather than run without a journal."""

from perdure.errors import NotInHandler
from perdure.sdk.context import Context, current_context


def durable_here(what: str) -> Context:
    """The context that `what` goes on along.

    Raises:
        NotInHandler: this code does not run in a handler.
        UsageError: it runs in one, but inside a run, or in another event loop or thread than the handler's.
    """
    try:
        context = current_context()
    except NotInHandler:
        raise NotInHandler(
            f"{what} was called outside of a handler, where nothing can be recorded. Call it in a handler of a "
            "service, or use the framework's own way to run an agent that need not be durable"
        ) from None
    context.check_here(what)
    return context
