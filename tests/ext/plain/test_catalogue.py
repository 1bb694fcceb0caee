"""Every pattern has the versions that it is to have, and a script to be run with."""

import pytest

from tests.ext.patterns.catalogue import EXAMPLES, VERSIONS, patterns, versions


@pytest.mark.parametrize("folder", VERSIONS)
def test_a_pattern_has_its_versions(folder: str) -> None:
    assert VERSIONS[folder] <= versions(folder)
    assert (EXAMPLES / folder / "README.md").exists()


def test_every_example_with_versions_is_a_pattern_under_test() -> None:
    assert {path.parent.name for path in EXAMPLES.glob("*/with_*.py")} <= VERSIONS.keys()
    assert {path.parent.name for path in EXAMPLES.glob("*/plain.py")} <= VERSIONS.keys()


def test_every_pattern_is_played() -> None:
    assert {each.folder for each in patterns("plain")} == VERSIONS.keys()
