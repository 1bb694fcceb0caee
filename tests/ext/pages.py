"""The pages of an integration, whose samples run in its environment."""

from pathlib import Path

import pytest

from tests.docs.pages import environment_of, pages
from tests.docs.running import run_page


class Samples:
    """A page's tests; a subclass names the environment."""

    ENVIRONMENT: str

    def test_every_sample_of_the_page_runs(self, page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        run_page(page, tmp_path, monkeypatch)


def pages_of(environment: str) -> list[Path]:
    """The pages that need this environment. There is one at least: no test of none is passed over in silence."""
    found = [page for page in pages() if environment_of(page) == environment]
    assert found, f"no page of docs/integrations needs the environment {environment}"
    return found
