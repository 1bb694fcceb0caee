"""What a journal holds of the calls of models."""

from typing import Any

from perdure.testing.journal import Journal


def recorded(journal: Journal) -> list[dict[str, Any]]:
    """The record of each call, oldest first."""
    return [each.value["model_call"] for each in journal.of("run") if "model_call" in (each.value or {})]
