"""Fixtures of the engine's unit tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.engine.table import Table


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    table = Table(tmp_path / "store")
    yield table
    table.close()
