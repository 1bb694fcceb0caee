"""What peers lack: tests that must fail in some arrangements, with the reason.

A test that begins to pass where it is named here fails the suite, so that this table tells no old story. That a peer
lacks it, and not we, is shown by the arrangements that have nothing of ours.
"""

from fnmatch import fnmatch

from msgspec import Struct


class Lack(Struct, frozen=True):
    """`tests` fail in the arrangements whose names match `where`."""

    where: str
    who: str
    reason: str
    tests: tuple[str, ...]

    def concerns(self, arrangement: str, test: str) -> bool:
        return test in self.tests and fnmatch(arrangement, self.where)


LACKING = [
    Lack(
        "python-*",
        "the official Python SDK",
        "No combinator looks at success: `gather`, `select` and the like take a failure as any other result.",
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
        ("test_wait_completed_tells_what_is_done_from_what_is_not",),
    ),
    Lack(
        "typescript-*",
        "the official TypeScript SDK",
        "A workflow's promise is rejected with a message only: the code is always 500.",
        ("test_a_promise_is_rejected_with_a_code",),
    ),
    *(
        Lack(where, who, reason, ("test_a_call_in_a_scope_reaches_another_object",))
        for where, who, reason in (
            ("*-on-our-engine-v[56]*", "versions 5 and 6 of the protocol", "There are no scopes."),
            ("*-on-reference-*", "the official engine", "Scopes of objects are experimental there, and off."),
        )
    ),
    Lack(
        "*-v5*",
        "version 5 of the protocol",
        "A failure has a code and a message, and no metadata.",
        ("test_a_failures_metadata_reaches_the_caller",),
    ),
]


def what_lacks(arrangement: str, test: str) -> Lack | None:
    """What makes `test` fail in `arrangement`; None if it must pass."""
    return next((lack for lack in LACKING if lack.concerns(arrangement, test)), None)
