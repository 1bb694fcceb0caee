"""Logging from handlers: said once, however often a handler is replayed, and with the invocation that says it."""

import logging

from perdure.sdk.context import context_var


class DurableLoggingFilter(logging.Filter):
    """Drops what is logged during replay; adds `invocation_id` and `invocation_target` (empty outside of handlers).

    Put it on a logger or, for all that goes through, on a log handler.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if not super().filter(record):
            return False
        context = context_var.get()
        record.invocation_id = context.invocation_id if context else ""
        record.invocation_target = context.target if context else ""
        return context is None or not context.is_replaying


def getLogger(name: str | None = None) -> logging.Logger:  # the stdlib's spelling
    """The logger of this name, with a `DurableLoggingFilter`."""
    logger = logging.getLogger(name)
    if not any(isinstance(each, DurableLoggingFilter) for each in logger.filters):
        logger.addFilter(DurableLoggingFilter())
    return logger
