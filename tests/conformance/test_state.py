"""State of a virtual object: kept for each key, written by one at a time, sent eagerly or fetched."""

import pytest

from tests.conformance.conftest import Ingress


@pytest.mark.parametrize("ledger", ["Ledger", "LazyLedger"])
def test_state_is_kept_from_call_to_call(ingress: Ingress, name: str, ledger: str) -> None:
    assert [ingress.call(f"{ledger}/{name}/add", n) for n in (1, 2, 3)] == [1, 3, 6]


@pytest.mark.parametrize("ledger", ["Ledger", "LazyLedger"])
def test_what_was_set_and_cleared_is_seen_at_once(ingress: Ingress, name: str, ledger: str) -> None:
    ingress.call(f"{ledger}/{name}/add", 1)
    assert ingress.call(f"{ledger}/{name}/tour") == [name, None, ["total"], "1", "", ["a", "b", "total"], None, []]
    assert ingress.call(f"{ledger}/{name}/tour")[2] == ["left"]


def test_keys_do_not_share_state(ingress: Ingress, name: str) -> None:
    ingress.call(f"Ledger/{name}/add", 1)
    assert ingress.call(f"Ledger/{name}-other/total") is None


def test_a_key_may_hold_what_a_path_must_escape(ingress: Ingress, name: str) -> None:
    assert ingress.call(f"LazyLedger/{name}%2F%C3%A4%20%3F/tour")[0] == f"{name}/\u00e4 ?"


def test_one_key_is_written_by_one_at_a_time_in_order(ingress: Ingress, name: str) -> None:
    for _ in range(10):
        ingress.send(f"Ledger/{name}/add_slowly/send", 1)
    assert ingress.call(f"Ledger/{name}/add_slowly", 0) == 10


def test_shared_handlers_run_beside_the_writer(ingress: Ingress, name: str) -> None:
    ingress.call(f"Ledger/{name}/add", 1)
    for _ in range(50):
        ingress.send(f"Ledger/{name}/add_slowly/send", 1)
    assert ingress.call(f"Ledger/{name}/total") < 51


def test_what_a_failed_attempt_has_set_is_not_set_twice(ingress: Ingress, name: str) -> None:
    assert ingress.call(f"Ledger/{name}/adds_and_fails_once", name) == 1
    assert ingress.call(f"Ledger/{name}/total") == 1


def test_state_may_be_megabytes(ingress: Ingress, name: str) -> None:
    ingress.call(f"Ledger/{name}/keeps", "x" * 4_000_000)
    assert ingress.call(f"Ledger/{name}/size_of_kept") == 4_000_000
