"""Which error ends a command with which code."""

import pytest

from perdure.cli.exits import Exit, ImportFailed, exit_for
from perdure.errors import PerdureError, PortUnavailable, StoreError, StoreLocked, TransportError, UsageError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("say it otherwise"), Exit.USAGE),
        (PortUnavailable("127.0.0.1", 8080, OSError(98, "Address already in use")), Exit.PORT),
        (ImportFailed("no module"), Exit.IMPORT),
        (StoreError("disk full"), Exit.STORE),
        (StoreLocked("held"), Exit.STORE),
        (TransportError("gone"), Exit.FAILED),
        (PerdureError("anything else"), Exit.FAILED),
    ],
)
def test_every_error_has_a_code_by_its_nearest_class(error: PerdureError, code: Exit) -> None:
    assert exit_for(error) is code


def test_the_numbers_are_the_documented_ones() -> None:
    assert [(code.name, code.value) for code in Exit] == [
        ("DONE", 0),
        ("FAILED", 1),
        ("USAGE", 2),
        ("PORT", 3),
        ("IMPORT", 4),
        ("STORE", 5),
    ]
