"""Logging from handlers: silent while replaying, marked with the invocation otherwise."""

import logging

import pytest

import perdure
from perdure.sdk.context import context_var


class FakeContext:
    invocation_id = "inv_1x"
    target = "Greeter/greet"

    def __init__(self, *, is_replaying: bool) -> None:
        self.is_replaying = is_replaying


@pytest.mark.parametrize("is_replaying", [True, False])
def test_a_handler_logs_once_and_says_who_it_is(is_replaying: bool, caplog: pytest.LogCaptureFixture) -> None:
    logger = perdure.getLogger("test.once")
    token = context_var.set(FakeContext(is_replaying=is_replaying))  # type: ignore[arg-type]
    try:
        logger.warning("asked the model")
    finally:
        context_var.reset(token)
    marks = [(vars(each)["invocation_id"], vars(each)["invocation_target"]) for each in caplog.records]
    assert marks == ([] if is_replaying else [("inv_1x", "Greeter/greet")])


def test_outside_of_handlers_everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    perdure.getLogger("test.outside").warning("started")
    assert [vars(each)["invocation_id"] for each in caplog.records] == [""]


def test_asking_twice_filters_once() -> None:
    assert perdure.getLogger("test.twice") is perdure.getLogger("test.twice")
    filters = logging.getLogger("test.twice").filters
    assert [type(each) for each in filters] == [perdure.DurableLoggingFilter]
