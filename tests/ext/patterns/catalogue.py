"""Which patterns there are in `examples/`, each in all versions."""

from collections.abc import Iterator
from importlib import import_module

from perdure.sdk.definition import ServiceDefinition
from perdure.sdk.endpoint import Endpoint
from tests.docs.pages import ROOT
from tests.ext.patterns.pattern import Pattern

EXAMPLES = ROOT / "examples"

VERSIONS = {"plain", "with_openai_agents", "with_pydantic_ai", "with_adk", "with_langchain", "with_litellm"}
"""What there is to be of each pattern."""

FOLDERS = (
    "chat",
    "error_handling",
    "approval",
    "approval_with_timeout",
    "parallel_tools",
    "local_agents",
    "remote_agents",
    "claim_approval",
    "sub_workflow",
    "sequential",
    "parallel",
    "orchestrator_workers",
    "evaluator_optimizer",
    "racing",
    "interrupt",
    "saga",
    "notify",
    "mcp_tools",
)
"""The patterns."""


def patterns() -> Iterator[Pattern]:
    """Every way through every pattern."""
    for folder in FOLDERS:
        yield from (
            each for each in vars(import_module(f"tests.ext.patterns.{folder}")).values() if _is_of(each, folder)
        )


def versions(folder: str) -> set[str]:
    """The versions that a pattern has."""
    found = {path.stem for path in (EXAMPLES / folder).glob("with_*.py")}
    return found | ({"plain"} if _plain_modules(folder) else set())


def services(folder: str, version: str) -> list[ServiceDefinition]:
    """All services of a version, and of the plain one those that it calls and does not have itself."""
    modules = [] if version == "plain" else [version]
    found: dict[str, ServiceDefinition] = {}
    for name in (*modules, *_plain_modules(folder)):
        if name in modules or version == "plain" or _is_remote(folder):
            app: Endpoint = import_module(f"{folder}.{name}").app
            for service in app.services:
                found.setdefault(service.name, service)
    return list(found.values())


def _plain_modules(folder: str) -> list[str]:
    """The modules of the version that is written by hand: one, or one an agent."""
    if (EXAMPLES / folder / "plain.py").exists():
        return ["plain"]
    modules = sorted((EXAMPLES / folder).glob("*.py"))
    return [each.stem for each in modules if not each.stem.startswith("with_") and "\napp = " in each.read_text()]


def _is_remote(folder: str) -> bool:
    """Whether its agents are modules of their own, which other versions may call as they are."""
    return len(_plain_modules(folder)) > 1


def _is_of(each: object, folder: str) -> bool:
    return isinstance(each, Pattern) and each.folder == folder
