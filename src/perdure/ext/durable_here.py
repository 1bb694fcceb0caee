"""Where agents are durable: inside of a handler. Elsewhere they stop and say so, rather than run without a journal."""

from perdure.errors import NotInHandler
from perdure.sdk.context import Context, context_var, current_context
from perdure.sdk.progress import run_key_var


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


def in_handler() -> Context | None:
    """The context, where it can be used; None outside of handlers, and inside of steps."""
    return None if in_step() else context_var.get()


def in_step() -> bool:
    """Whether this is the inside of a step, which is recorded as a whole."""
    return run_key_var.get() is not None
