"""What services say of themselves: schemas, content types, options, in each version of the manifest."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest

from perdure.errors import DeploymentRejected
from perdure.protocol.discovery import check_manifest, content_type, decode_manifest, encode_manifest
from perdure.sdk.definition import InvocationRetryPolicy, ServiceDefinition
from perdure.sdk.manifest import manifest_of
from perdure.sdk.service import Service
from perdure.sdk.virtual_object import VirtualObject
from perdure.sdk.workflow import Workflow


class Model(pydantic.BaseModel):
    name: str
    size: int = 3


@dataclass
class Data:
    name: str


class Packed(msgspec.Struct):
    name: str


class Dictionary(TypedDict):
    name: str


def described(*services: ServiceDefinition, version: int = 4) -> list[dict[str, Any]]:
    manifest = manifest_of(services, "BIDI_STREAM")
    check_manifest(manifest)
    body = encode_manifest(manifest, version)
    assert decode_manifest(content_type(version), body).services
    return msgspec.json.decode(body)["services"]


def payloads(hint: Any, returns: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    async def handle(ctx: object, value: Any) -> Any: ...

    handle.__annotations__ |= {"value": hint, "return": returns}
    service = Service("S")
    service.handler("h")(handle)
    [handler] = described(service)[0]["handlers"]
    return handler["input"], handler["output"]


@pytest.mark.parametrize("hint", [Model, Data, Packed, Dictionary])
def test_objects_have_the_schema_of_their_fields(hint: Any) -> None:
    taken, given = payloads(hint, hint)
    for payload in (taken, given):
        assert payload["contentType"] == "application/json"
        schema = payload["jsonSchema"]
        properties = schema.get("properties") or schema["$defs"][hint.__name__]["properties"]
        assert properties["name"]["type"] == "string"
    assert taken["required"] is True
    assert given["setContentTypeIfEmpty"] is False


def test_what_only_an_output_has_is_in_the_output_alone() -> None:
    class Measured(Model):
        @pydantic.computed_field
        def length(self) -> int:
            return len(self.name)

    taken, given = payloads(Measured, Measured)
    assert taken["jsonSchema"]["required"] == ["name"]
    assert given["jsonSchema"]["required"] == ["name", "length"]


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (list[str], {"type": "array", "items": {"type": "string"}}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (str | None, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
    ],
    ids=str,
)
def test_builtins_have_schemas(hint: Any, schema: Any) -> None:
    taken, given = payloads(hint, hint)
    assert taken["jsonSchema"] == given["jsonSchema"] == schema


def test_optional_input_is_not_required() -> None:
    assert payloads(Model | None, None)[0]["required"] is False
    assert payloads(str, None)[0]["required"] is True


def test_bytes_are_octets_without_a_schema() -> None:
    taken, given = payloads(bytes, bytes)
    assert taken == {"contentType": "application/octet-stream", "required": True}
    assert given == {"contentType": "application/octet-stream", "setContentTypeIfEmpty": False}


def test_nothing_taken_and_nothing_given_is_no_body() -> None:
    service = Service("S")

    @service.handler()
    async def tick(ctx: object) -> None: ...

    [handler] = described(service)[0]["handlers"]
    assert handler == {"name": "tick", "input": {}, "output": {"setContentTypeIfEmpty": False}}


def test_without_annotations_it_is_json_of_any_shape() -> None:
    service = Service("S")
    service.handler("h", accept="text/*", content_type="text/plain")(lambda ctx, text: text)
    service.handler("plain")(lambda ctx, text: text)
    spoken, plain = described(service)[0]["handlers"]
    assert spoken["input"] == {"contentType": "text/*", "required": False}
    assert spoken["output"] == {"contentType": "text/plain", "setContentTypeIfEmpty": False}
    assert plain["input"] == {"contentType": "application/json", "required": False}
    assert plain["output"] == {"contentType": "application/json", "setContentTypeIfEmpty": False}


def test_kinds_and_names() -> None:
    obj, workflow = VirtualObject("O"), Workflow("W")
    obj.handler("write")(lambda ctx: 1)
    obj.handler("read", kind="shared")(lambda ctx: 1)
    workflow.main("run", workflow_retention=timedelta(days=2))(lambda ctx: 1)
    workflow.handler("signal")(lambda ctx: 1)
    objects, workflows = described(obj, workflow)
    assert (objects["ty"], [handler["ty"] for handler in objects["handlers"]]) == (
        "VIRTUAL_OBJECT",
        ["EXCLUSIVE", "SHARED"],
    )
    assert (workflows["ty"], [handler["ty"] for handler in workflows["handlers"]]) == (
        "WORKFLOW",
        ["WORKFLOW", "SHARED"],
    )
    assert workflows["handlers"][0]["workflowCompletionRetention"] == 172_800_000


OPTIONS: dict[str, Any] = {
    "description": "what it does",
    "metadata": {"team": "billing"},
    "inactivity_timeout": timedelta(seconds=5),
    "abort_timeout": timedelta(milliseconds=1500),
    "journal_retention": timedelta(0),
    "idempotency_retention": timedelta(hours=1),
    "ingress_private": True,
    "enable_lazy_state": False,
    "invocation_retry_policy": InvocationRetryPolicy(
        initial_interval=timedelta(milliseconds=100),
        exponentiation_factor=1.5,
        max_interval=timedelta(seconds=2),
        max_attempts=4,
        on_max_attempts="kill",
    ),
}
ANNOUNCED = {
    "documentation": "what it does",
    "metadata": {"team": "billing"},
    "inactivityTimeout": 5_000,
    "abortTimeout": 1_500,
    "journalRetention": 0,
    "idempotencyRetention": 3_600_000,
    "ingressPrivate": True,
    "enableLazyState": False,
    "retryPolicyInitialInterval": 100,
    "retryPolicyExponentiationFactor": 1.5,
    "retryPolicyMaxInterval": 2_000,
    "retryPolicyMaxAttempts": 4,
    "retryPolicyOnMaxAttempts": "KILL",
}


def test_all_options_are_announced_on_both_levels() -> None:
    service = VirtualObject("O", **OPTIONS)
    service.handler("h", **OPTIONS)(lambda ctx: 1)
    [announced] = described(service)
    assert announced.items() >= ANNOUNCED.items()
    assert announced["handlers"][0].items() >= ANNOUNCED.items()


def test_an_older_manifest_leaves_out_documentation_but_not_behaviour() -> None:
    service = Service("S", description="what it does")
    service.handler("h")(lambda ctx: 1)
    for version in (1, 2, 3, 4):
        assert ("documentation" in described(service, version=version)[0]) is (version >= 2)
    private = Service("P", ingress_private=True)
    with pytest.raises(DeploymentRejected, match="ingressPrivate is only supported in discovery manifest version 3"):
        described(private, version=2)


def test_what_is_less_than_a_millisecond_is_cut_off_as_everywhere() -> None:
    service = Service("Quick", inactivity_timeout=timedelta(microseconds=1999))
    assert manifest_of([service], "BIDI_STREAM").services[0].inactivity_timeout == 1
