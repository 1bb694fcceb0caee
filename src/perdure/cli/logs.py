"""How the serving commands log: one line a record on stderr, the sentence and those fields that it does not say."""

import logging

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "action"}


class FieldsFormatter(logging.Formatter):
    """A sentence, then `name=value` for what else was given as `extra`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        extra = {name: str(value) for name, value in vars(record).items() if name not in _STANDARD}
        unsaid = " ".join(f"{name}={value}" for name, value in extra.items() if value not in record.message)
        line = super().formatMessage(record)
        return f"{line} [{unsaid}]" if unsaid else line


def log_to_stderr() -> None:
    """Warnings of everybody, and what perdure itself says of starting and stopping."""
    handler = logging.StreamHandler()
    handler.setFormatter(FieldsFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("perdure").setLevel(logging.INFO)
