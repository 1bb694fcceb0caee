"""What is lacking, and by whose doing: tests that must fail in some arrangements, with the reason.

A test that begins to pass where it is named here fails the suite, so that this table tells no old story. That a peer
lacks it, and not we, is shown by the arrangements that have nothing of ours.
"""

from fnmatch import fnmatch

from msgspec import Struct


class Lack(Struct, frozen=True):
    """`test` fails in the arrangements whose names match `where`."""

    where: str
    test: str
    reason: str


LACKING = [
    Lack(
        "typescript-*",
        "test_a_promise_is_rejected_with_a_code",
        "a promise is rejected with a message only; the code is always 500",
    ),
    Lack(
        "typescript-*",
        "test_wait_completed_tells_what_is_done_from_what_is_not",
        "there is `race`, which gives the first result, and nothing that tells which futures are done",
    ),
]


def what_lacks(arrangement: str, test: str) -> str | None:
    """Why `test` cannot pass in `arrangement`; None if it must."""
    reasons = (lack.reason for lack in LACKING if lack.test == test and fnmatch(arrangement, lack.where))
    return next(reasons, None)
