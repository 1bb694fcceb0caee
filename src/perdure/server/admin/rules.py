"""The rules of flow control over HTTP: list, put, delete."""

from msgspec import Struct
from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import Response

from perdure.engine.flow.rules import ANY, Level, Limits, Rule, RuleDeletion, RulePut, parse_pattern
from perdure.engine.registry import Registry
from perdure.server.admin.answers import engine_of, json_response, read_json
from perdure.server.admin.operation import Operation


class RuleView(Struct, frozen=True, kw_only=True):
    """A rule. `version` counts its changes; a `disabled` one is as if it were not there."""

    pattern: str
    limits: Limits
    description: str | None
    disabled: bool
    version: int
    last_modified_millis_since_epoch: int


class RulePutView(RuleView, frozen=True, kw_only=True, omit_defaults=True):
    """A rule that was put. `note`: that nothing has the name that it is about, if so; the rule holds nevertheless."""

    note: str | None = None


class RulesView(Struct, frozen=True):
    """All rules, by pattern."""

    rules: list[RuleView]


async def show(request: Request) -> Response:
    """All rules, by pattern."""
    engine = engine_of(request)
    return json_response(RulesView([_view(rule) for rule in engine.rules.all()]))


async def put(request: Request) -> Response:
    """Puts all rules of the body, or none if one of them makes no sense or its precondition does not hold.

    They hold at once, also for what runs and waits: nothing that runs is stopped by a lower limit.
    """
    engine = engine_of(request)
    rules = await engine.rules.put(*await read_json(request, list[RulePut]))
    return json_response([_put_view(rule, engine.registry) for rule in rules])


async def delete(request: Request) -> Response:
    """Deletes all rules that the body names, or none if one of them is not of the expected version.

    The answer names those that were there.
    """
    engine = engine_of(request)
    return json_response(await engine.rules.delete(*await read_json(request, list[RuleDeletion])))


def _view(rule: Rule) -> RuleView:
    return RuleView(
        pattern=rule.pattern,
        limits=rule.limits,
        description=rule.description,
        disabled=rule.disabled,
        version=rule.version,
        last_modified_millis_since_epoch=rule.last_modified_ms,
    )


def _put_view(rule: Rule, registry: Registry) -> RulePutView:
    return RulePutView(**asdict(_view(rule)), note=_note(rule, registry))


def _note(rule: Rule, registry: Registry) -> str | None:
    level, names = parse_pattern(rule.pattern)
    match level:
        case Level.SERVICE:
            known = [(service,) for service in registry.services]
        case Level.HANDLER:
            known = [tuple(target.split("/")) for target in registry.targets()]
        case Level.DEPLOYMENT:
            known = [(id,) for id in registry.deployments]
        case _:
            return None  # scopes are whatever callers say
    if any(all(name in (ANY, one) for name, one in zip(names, each, strict=True)) for each in known):
        return None
    return f"there is no {level.name.lower()} {'/'.join(names)} now: the rule limits nothing until there is"


_CONFLICT = {409: "a rule is not in the state that was expected; nothing was changed"}

OPERATIONS = [
    Operation(
        method="GET", path="/limits/rules", endpoint=show, tag="limits", summary="List rules", answers={200: RulesView}
    ),
    Operation(
        method="PUT",
        path="/limits/rules",
        endpoint=put,
        tag="limits",
        summary="Put rules",
        body=list[RulePut],
        answers={200: list[RulePutView]},
        errors=_CONFLICT,
    ),
    Operation(
        method="POST",
        path="/limits/rules/bulk-delete",
        endpoint=delete,
        tag="limits",
        summary="Delete rules",
        body=list[RuleDeletion],
        answers={200: list[str]},
        errors=_CONFLICT,
    ),
]
