"""A scripted model as a fixture. In `conftest.py`: `pytest_plugins = ["perdure.testing.pytest_plugin"]`."""

from collections.abc import Iterator

import pytest

from perdure.testing.model import ScriptedModel, first_tool


@pytest.fixture(scope="session")
def _served_model() -> Iterator[ScriptedModel]:  # pyright: ignore[reportUnusedFunction]  pytest uses it, by its name
    """One server for all tests: SDKs keep clients, and clients the address that they began with."""
    with ScriptedModel() as model, pytest.MonkeyPatch.context() as patch:
        for name, value in model.environment.items():
            patch.setenv(name, value)
        yield model


@pytest.fixture
def scripted_model(_served_model: ScriptedModel) -> ScriptedModel:
    """A model that the environment names to all SDKs, that nobody has asked yet. Set its `script`."""
    _served_model.forget()
    _served_model.script = first_tool
    return _served_model
