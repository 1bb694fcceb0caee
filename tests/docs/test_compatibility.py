"""The page on compatibility is of the versions, the arrangements and the lacks of today, and of a run that passed."""

from tests.conformance.arrangements import ARRANGEMENTS
from tests.conformance.compatibility import PAGE, lacking, place, versions

TEXT = PAGE.read_text()
AGAIN = "`make compatibility` writes the page anew"


def test_it_has_the_versions_that_are_pinned() -> None:
    assert versions() in TEXT, AGAIN


def test_it_tells_what_is_lacking() -> None:
    assert lacking() in TEXT, AGAIN


def test_it_is_of_all_arrangements() -> None:
    for arrangement in ARRANGEMENTS.values():
        assert " | ".join(place(arrangement)) in TEXT, f"{arrangement.name}: {AGAIN}"


def test_nothing_failed() -> None:
    assert "**fail**" not in TEXT
