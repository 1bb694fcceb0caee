"""What a line of the log says."""

import logging

from perdure.cli.logs import FieldsFormatter


def test_fields_that_the_sentence_does_not_say_follow_it() -> None:
    record = logging.makeLogRecord(
        {"name": "perdure.engine", "levelname": "WARNING", "msg": "attempt at %s failed", "args": ("A/b",)}
        | {"target": "A/b", "invocation_id": "inv_1", "action": "attempt_failed"}
    )
    assert (
        FieldsFormatter()
        .format(record)
        .endswith(" WARNING perdure.engine: attempt at A/b failed [invocation_id=inv_1]")
    )
