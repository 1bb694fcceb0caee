"""What is completed from outside: awakeables by their id, signals by name."""

import pytest

from tests.conformance.conftest import Ingress
from tests.conformance.waiting import eventually


def begin(ingress: Ingress, name: str) -> tuple[str, str]:
    """An invocation that waits for an awakeable, and the awakeable's id."""
    invocation_id = ingress.send("Plain/waits_for_awakeable/send", name)
    awakeable_id = eventually(lambda: ingress.call(f"Mailbox/{name}/peek"), "the awakeable's id")
    assert awakeable_id.startswith("sign_1")
    return invocation_id, awakeable_id


def test_an_awakeable_is_resolved_from_outside(ingress: Ingress, name: str) -> None:
    invocation_id, awakeable_id = begin(ingress, name)
    assert ingress.post(f"restate/awakeables/{awakeable_id}/resolve", "news").status_code == 202
    assert ingress.attach(invocation_id).json() == "got news"


def test_an_awakeable_is_rejected_from_outside(ingress: Ingress, name: str) -> None:
    invocation_id, awakeable_id = begin(ingress, name)
    answer = ingress.http.post(f"/restate/awakeables/{awakeable_id}/reject", content="no news")
    assert answer.status_code == 202
    assert ingress.attach(invocation_id).json() == "500 no news"


def test_an_awakeable_is_resolved_once(ingress: Ingress, name: str) -> None:
    invocation_id, awakeable_id = begin(ingress, name)
    for news in ("first", "second"):
        assert ingress.post(f"restate/awakeables/{awakeable_id}/resolve", news).status_code == 202
    assert ingress.attach(invocation_id).json() == "got first"


def test_what_is_no_awakeable_id_is_refused(ingress: Ingress) -> None:
    assert ingress.post("restate/awakeables/sign_1nonsense/resolve", "x").status_code == 400


@pytest.mark.parametrize(("how", "result"), [("resolve", "got a letter"), ("reject", "410 lost in the post")])
def test_an_awakeable_is_completed_by_another_handler(ingress: Ingress, how: str, result: str) -> None:
    assert ingress.call("Plain/awakeable_by_handler", how) == result


@pytest.mark.parametrize(("how", "result"), [("resolve", "go on"), ("reject", "403 stay")])
def test_a_named_signal_reaches_who_waits_for_it(ingress: Ingress, how: str, result: str) -> None:
    assert ingress.call("Plain/signalled", how) == result
