"""What the SDK's tests share."""

import pytest

from perdure.sdk import progress


@pytest.fixture(autouse=True)
def hints_go_out_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests count turns of the loop, and do not wait for the clock."""
    monkeypatch.setattr(progress, "HINT_AFTER_S", 0)
