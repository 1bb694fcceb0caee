"""What the commands say of themselves."""

import pytest
from typer.testing import CliRunner

from perdure.cli.app import app


@pytest.mark.parametrize("command", ["kill"])
def test_who_ends_with_an_invocation_is_who_it_waits_for(command: str) -> None:
    """Sends go on."""
    shown = CliRunner().invoke(app, ["invocations", command, "--help"]).output
    assert "those they wait for" in " ".join(shown.split())
