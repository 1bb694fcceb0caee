"""How the serving commands log: one line a record on stderr, with the record's fields after the sentence."""

import logging

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "action"}


class FieldsFormatter(logging.Formatter):
    """A sentence, then `name=value` for what was given as `extra`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={value}" for name, value in vars(record).items() if name not in _STANDARD)
        line = super().formatMessage(record)
        return f"{line} [{fields}]" if fields else line


def log_to_stderr() -> None:
    """Warnings of everybody, and what perdure itself says of starting and stopping."""
    handler = logging.StreamHandler()
    handler.setFormatter(FieldsFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("perdure").setLevel(logging.INFO)
