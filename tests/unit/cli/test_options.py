"""What commands have in common: what they take, and when they ask."""

import pytest
import typer

from perdure.cli import consent
from perdure.cli.consent import agree
from perdure.cli.invocations import STATUSES
from perdure.cli.options import given, json_of, service_and_handler
from perdure.engine.invocation import Status
from perdure.errors import UsageError


@pytest.mark.parametrize("target", ["Greeter", "Greeter/", "/greet", "Counter/k/add", ""])
def test_a_handler_is_named_with_its_service(target: str) -> None:
    assert service_and_handler("Greeter/greet") == ("Greeter", "greet")
    with pytest.raises(UsageError, match="must be Service/handler"):
        service_and_handler(target)


def test_what_is_no_json_names_its_option() -> None:
    assert json_of("--input", '"Ada"') == "Ada"
    with pytest.raises(UsageError, match="what --input gives is not JSON"):
        json_of("--input", "{")


def test_what_is_nothing_was_said_and_what_is_none_was_not() -> None:
    assert given(concurrency=0, rate=None, description="", paused=False) == {
        "concurrency": 0,
        "description": "",
        "paused": False,
    }


def test_a_person_sees_what_it_is_about_before_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consent.sys.stdin, "isatty", lambda: True, raising=False)
    seen: list[object] = []
    answers = iter([True, False])

    def confirm(question: str, *, default: bool) -> bool:
        seen.append((question, default))
        return next(answers)

    monkeypatch.setattr(typer, "confirm", confirm)
    agree("kill 2?", yes=False, show=lambda: seen.append("inv_1, inv_2"))
    with pytest.raises(typer.Exit) as ended:
        agree("register?", yes=False, default=True)
    assert seen == ["inv_1, inv_2", ("kill 2?", False), ("register?", True)]
    assert ended.value.exit_code == 1


def test_nobody_is_asked_who_said_yes_and_nobody_who_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consent.sys.stdin, "isatty", lambda: False, raising=False)
    agree("kill 2?", yes=True)
    with pytest.raises(UsageError, match="add --yes"):
        agree("kill 2?", yes=False)


def test_the_statuses_are_those_of_the_engine() -> None:
    assert list(STATUSES) == list(Status)
