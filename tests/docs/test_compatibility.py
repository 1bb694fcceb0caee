"""The page on compatibility is of the tests of today, and of their versions, arrangements and lacks."""

from tests.conformance.collecting import collected
from tests.conformance.compatibility import PAGE, page


def test_the_page_is_that_of_a_whole_run_of_the_suite_as_it_is() -> None:
    assert PAGE.read_text() == page(collected()), "`make compatibility` writes the page anew"
