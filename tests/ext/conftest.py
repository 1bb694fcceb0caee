"""What the tests with agent frameworks share. Each folder is of one integration, and is run where its framework is."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import pytest_asyncio

from perdure.testing.model import ScriptedModel
from tests.docs.pages import name_of
from tests.ext.pages import pages_of
from tests.ext.patterns import catalogue

FRAMEWORKS = {
    "openai": "agents",
    "pydantic_ai": "pydantic_ai",
    "adk": "google.adk",
    "langchain": "langchain",
    "litellm": "litellm",
}
"""By folder, what has to be installed. `make integrations` has an environment for each; pytest fails there if it finds
nothing to run."""


LEFT_OPEN = ("ignore:unclosed <socket:ResourceWarning", "ignore:unclosed transport:ResourceWarning")
"""The frameworks close their connections when the process ends, and garbage collection tells some other test of it."""


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    framework = FRAMEWORKS.get(collection_path.name)
    return True if framework is not None and not _is_installed(framework) else None


def _is_installed(framework: str) -> bool:
    try:
        return find_spec(framework) is not None
    except ModuleNotFoundError:  # of a package around it
        return False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All have one event loop, as a service's process has: the SDKs keep connections from one call to the next."""
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        for warning in LEFT_OPEN:
            item.add_marker(pytest.mark.filterwarnings(warning))
        if pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "pattern" in metafunc.fixturenames and metafunc.cls is not None:
        found = list(catalogue.patterns())
        metafunc.parametrize("pattern", found, ids=[each.name for each in found])
    if "page" in metafunc.fixturenames and metafunc.cls is not None:
        metafunc.parametrize("page", pages_of(metafunc.cls.ENVIRONMENT), ids=name_of)


@pytest.fixture(scope="session")
def served() -> Iterator[ScriptedModel]:
    """One model for all tests of a process, as the SDKs keep clients, which keep the address that they began with."""
    with ScriptedModel() as model, pytest.MonkeyPatch.context() as patch:
        for name, value in model.environment.items():
            patch.setenv(name, value)
        yield model


@pytest.fixture
def model(served: ScriptedModel) -> Iterator[ScriptedModel]:
    """The model, as if nobody had asked it for anything."""
    served.forget()
    script = served.script
    yield served
    served.script = script
    served.aims.clear()
    served.faults.clear()
