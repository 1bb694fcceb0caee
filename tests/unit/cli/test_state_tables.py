"""Reading the state of all objects goes on over what passes, and ends with what does not."""

from typing import Any

import pytest

from perdure.cli import query, remote
from perdure.cli.moving import state_tables
from perdure.cli.remote import AskAgain, RequestRefused


def answering(*answers: list[dict[str, Any]] | Exception) -> Any:
    left = iter(answers)

    def rows_of(sql: str) -> list[dict[str, Any]]:
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return rows_of


def test_an_error_that_passes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "rows_of", answering(AskAgain("busy"), [{"service_name": "Cart"}]))
    assert state_tables.services_with_state() == ["Cart"]


@pytest.mark.parametrize("error", [RequestRefused("no"), AskAgain("never")])
def test_any_other_ends_it(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(remote, "PASSES_WITHIN_S", 0)
    monkeypatch.setattr(query, "rows_of", answering(error, error, error))
    with pytest.raises(type(error), match=str(error)):
        state_tables.services_with_state()


def test_a_name_that_is_no_text_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [{"service_key": "ann", "size": 1}]
    row = {"service_key": "ann", "key": "�", "key_length": 1, "value_utf8": "1"}
    monkeypatch.setattr(query, "rows_of", answering(sizes, [row]))
    with pytest.raises(state_tables.NotText, match="Cart/ann has an entry whose name is no text"):
        list(state_tables.objects_of("Cart"))
