"""Ids: bytes to text and back, equal to the official server's."""

import os
from base64 import urlsafe_b64encode
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.errors import UsageError
from perdure.protocol import ids

RAW = st.binary(min_size=24, max_size=24)

# Seen on the wire between restate-server 1.7.12 and the official Python SDK.
CAPTURED = ("e4440d25e73d5170bf0908ae68c1c2bc129821839b2e8134", "inv_19DRtVb6LNfS1B4Dw36b8b3htbudZJXmwf")
CAPTURED_AWAKEABLE = "sign_1awOJPt-Sp1fk4T3O9r6zkxNbiper62tVAAAAEQ"
CAPTURED_AWAKEABLE_RAW = "6b03893edf92a757e4e13dcef6beb393135b8a97abeb6b55"


def test_the_captured_invocation_id() -> None:
    raw, text = bytes.fromhex(CAPTURED[0]), CAPTURED[1]
    assert ids.invocation_id(raw) == text
    assert ids.parse_invocation_id(text) == raw


def test_the_captured_awakeable_id() -> None:
    raw = bytes.fromhex(CAPTURED_AWAKEABLE_RAW)
    assert ids.awakeable_id(raw, 17) == CAPTURED_AWAKEABLE
    assert ids.parse_awakeable_id(CAPTURED_AWAKEABLE) == (ids.invocation_id(raw), 17)


def test_the_older_prefix_of_awakeables_is_read() -> None:
    older = CAPTURED_AWAKEABLE.replace("sign_1", "prom_1")
    assert ids.parse_awakeable_id(older) == ids.parse_awakeable_id(CAPTURED_AWAKEABLE)


@given(RAW)
def test_invocation_ids_make_the_round_trip_and_have_one_length(raw: bytes) -> None:
    text = ids.invocation_id(raw)
    assert len(text) == len(CAPTURED[1])
    assert ids.parse_invocation_id(text) == raw


@given(RAW, st.integers(ids.FIRST_AWAKEABLE_SIGNAL, 2**32 - 1))
def test_awakeable_ids_make_the_round_trip(raw: bytes, signal: int) -> None:
    assert ids.parse_awakeable_id(ids.awakeable_id(raw, signal)) == (ids.invocation_id(raw), signal)


@given(RAW, st.integers(0, ids.FIRST_AWAKEABLE_SIGNAL - 1))
def test_an_awakeable_id_of_a_reserved_signal_is_refused(raw: bytes, signal: int) -> None:
    """An invocation's id is in every answer, and signal 1 cancels."""
    with pytest.raises(UsageError, match="the protocol's own"):
        ids.parse_awakeable_id(ids.awakeable_id(raw, signal))


@given(st.text(max_size=48) | st.text("0123456789abcXYZ", min_size=33, max_size=33).map(lambda text: f"inv_1{text}"))
def test_any_text_is_an_invocation_id_or_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        assert ids.invocation_id(ids.parse_invocation_id(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "inv_1",
        "19DRtVb6LNfS1B4Dw36b8b3htbudZJXmwf",
        CAPTURED[1][:-1],
        CAPTURED[1] + "0",
        CAPTURED[1].replace("B", "-"),
        "inv_1" + "Z" * 33,  # above what 8 and 16 bytes hold
    ],
)
def test_what_is_no_invocation_id_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not an invocation id"):
        ids.parse_invocation_id(text)


@given(st.text(max_size=60) | st.binary(max_size=40).map(lambda raw: f"sign_1{urlsafe_b64encode(raw).decode()}"))
def test_any_text_is_an_awakeable_id_or_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        invocation_id, signal = ids.parse_awakeable_id(text)
        assert ids.parse_awakeable_id(ids.awakeable_id(ids.parse_invocation_id(invocation_id), signal)) == (
            invocation_id,
            signal,
        )


def test_invocations_of_one_key_share_the_first_bytes() -> None:
    first, second = (ids.parse_invocation_id(ids.new_invocation_id("account-7")) for _ in range(2))
    assert first[:8] == second[:8]
    assert first[8:] != second[8:]


def test_fresh_ids_differ() -> None:
    assert len({ids.new_invocation_id() for _ in range(1000)}) == 1000
    assert len({ids.new_deployment_id() for _ in range(1000)}) == 1000


def test_a_workflow_key_has_one_main_invocation() -> None:
    assert ids.workflow_invocation_id("Approval", "c1") == ids.workflow_invocation_id("Approval", "c1")
    assert ids.workflow_invocation_id("Approval", "c1") != ids.workflow_invocation_id("Approval", "c2")
    assert ids.workflow_invocation_id("Approval", "c1") != ids.workflow_invocation_id("Payment", "c1")


def test_an_idempotency_key_names_one_invocation_of_one_target() -> None:
    def target(service: str, key: str | None, handler: str, idempotency_key: str) -> str:
        return ids.idempotent_invocation_id(service, key, handler, idempotency_key)

    assert target("S", None, "h", "once") == target("S", None, "h", "once")
    others = [("T", None, "h", "once"), ("S", "k", "h", "once"), ("S", None, "g", "once"), ("S", None, "h", "twice")]
    assert len({target("S", None, "h", "once"), *(target(*other) for other in others)}) == 5


@given(RAW)
def test_the_random_seed_is_stable_and_fits_64_bits(raw: bytes) -> None:
    seed = ids.random_seed(raw)
    assert seed == ids.random_seed(raw)
    assert 0 <= seed < 2**64


def test_a_forked_process_does_not_make_its_parents_ids() -> None:
    ids.new_invocation_id()  # so that there are random bytes left to share
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, ids.new_invocation_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 100).decode() != ids.new_invocation_id()
    os.close(read)
    os.close(write)
