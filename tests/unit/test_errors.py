"""The errors that have a behaviour of their own."""

from perdure.errors import SuspendedException, UnknownTarget, is_internal_exception


def test_the_sdks_control_flow_is_found_through_what_wraps_it() -> None:
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = SuspendedException("suspended")
    assert is_internal_exception(wrapped)
    assert not is_internal_exception(RuntimeError("another"))


def test_a_circle_of_causes_is_no_trap() -> None:
    first, second = RuntimeError("first"), RuntimeError("second")
    first.__cause__, second.__cause__ = second, first
    assert not is_internal_exception(first)


def test_an_unknown_target_names_what_is_near_or_what_there_is() -> None:
    assert "Did you mean BillingAgent/run?" in str(UnknownTarget("BilingAgent/run", ["BillingAgent/run", "A/b"]))
    assert str(UnknownTarget("X/y", ["A/b", "C/d"])).endswith("What exists: A/b, C/d.")
    assert str(UnknownTarget("X/y", [f"A/h{n}" for n in range(30)])).endswith(" and more.")
    assert "deployments register" in str(UnknownTarget("X/y", []))
