"""What peers lack: tests that must fail in some arrangements, with the reason, and what the failure says.

A test that begins to pass where it is named here fails the suite, so that this table tells no old story. That a peer
lacks it, and not we, is shown by the arrangements that have nothing of ours.
"""

import re
from fnmatch import fnmatch

import pytest
from msgspec import Struct

from tests.conformance.arrangements import arrangement_of


class Lacking(Exception):
    """A test failed as is told here."""


class Lack(Struct, frozen=True):
    """`tests` fail in the arrangements whose names match `where`; the pattern `says` is in what the assertion says."""

    where: str
    who: str
    reason: str
    says: str
    tests: tuple[str, ...]

    def concerns(self, arrangement: str, test: str) -> bool:
        return test in self.tests and fnmatch(arrangement, self.where)

    def explains(self, failure: AssertionError) -> bool:
        return re.search(self.says, str(failure)) is not None


NO_HANDLER = r"no Plain/\w+ in any deployment|the handler '\w+' was not found"


LACKING = [
    Lack(
        "python-*",
        "the official Python SDK",
        "No combinator looks at success: `gather`, `select` and the like take a failure as any other result.",
        NO_HANDLER,
        (
            "test_the_first_success_is_taken_whatever_fails_before",
            "test_the_first_failure_ends_the_wait_for_all",
            "test_what_became_of_each_is_told",
        ),
    ),
    Lack(
        "typescript-*",
        "the official TypeScript SDK",
        "`race` gives the first result; nothing tells which promises are done.",
        NO_HANDLER,
        ("test_wait_completed_tells_what_is_done_from_what_is_not",),
    ),
    Lack(
        "typescript-*",
        "the official TypeScript SDK",
        "A workflow's promise is rejected with a message only: the code is always 500.",
        "^assert 'claim: 500 refused' == 'claim: 402 refused'",
        ("test_a_promise_is_rejected_with_a_code",),
    ),
    *(
        Lack(where, who, reason, says, ("test_a_call_in_a_scope_reaches_another_object",))
        for where, who, reason, says in (
            (
                "*-v[56]*",
                "versions 5 and 6 of the protocol",
                "There are no scopes.",
                "'scope' is not supported by the negotiated protocol version|scopes .* need protocol version 7",
            ),
            (
                "*-on-reference-v7*",
                "the official engine",
                "Scopes of objects are experimental there, and off.",
                "scoped invocations require flow control experimental feature",
            ),
        )
    ),
    Lack(
        "*-v5*",
        "version 5 of the protocol",
        "A failure has a code and a message, and no metadata.",
        "^assert None == {'field': 'amount'}",
        ("test_a_failures_metadata_reaches_the_caller",),
    ),
]


def lack_of(test: pytest.Item) -> Lack | None:
    """What makes it fail; None if it must pass."""
    arrangement = arrangement_of(test)
    if arrangement is None or not isinstance(test, pytest.Function):
        return None
    return next((lack for lack in LACKING if lack.concerns(arrangement.name, test.originalname)), None)
