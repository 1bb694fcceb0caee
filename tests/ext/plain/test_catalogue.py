"""Every pattern has all versions, and a script to be run with."""

import pytest

from tests.ext.patterns.catalogue import EXAMPLES, FOLDERS, VERSIONS, patterns, versions


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_pattern_has_all_versions(folder: str) -> None:
    assert versions(folder) == VERSIONS
    assert (EXAMPLES / folder / "README.md").exists()


def test_every_example_with_versions_is_a_pattern_under_test() -> None:
    assert {path.parent.name for path in EXAMPLES.glob("*/with_*.py")} <= set(FOLDERS)
    assert {path.parent.name for path in EXAMPLES.glob("*/plain.py")} <= set(FOLDERS)


def test_every_pattern_is_played() -> None:
    assert {each.folder for each in patterns()} == set(FOLDERS)
