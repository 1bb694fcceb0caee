"""The OpenAPI documents of services: valid, complete, and their references lead somewhere."""

import json
from typing import Any

import msgspec
import pytest
from jsonschema_rs import is_valid, validator_for
from openapi_spec_validator import validate

from perdure.engine.registry import Registry
from perdure.errors import UnknownTarget
from perdure.protocol.discovery import HandlerManifest, Payload, ServiceManifest
from perdure.server.ingress_openapi import Documents, service_document, services_document
from perdure.server.openapi_schemas import example_of
from tests.unit.server.fake_engine import MANIFEST, FakeEngine

LINE: dict[str, Any] = {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]}
TREE = {"$ref": "#/$defs/Node", "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}}}


def claim(line: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"line": {"$ref": "#/$defs/Line"}}, "$defs": {"Line": line}}


def serving(**schemas: Any) -> Registry:
    handlers = [
        HandlerManifest(name=name, input=Payload(content_type="application/json", json_schema=schema, required=True))
        for name, schema in schemas.items()
    ]
    engine = FakeEngine()
    service = ServiceManifest(name="Shop.v-1", ty="VIRTUAL_OBJECT", documentation="Sells things", handlers=handlers)
    engine.deploy("http://shop:9080", msgspec.structs.replace(MANIFEST, services=[service]))
    return engine.registry


def test_the_documents_are_valid_openapi() -> None:
    registry = FakeEngine().registry
    for document in (services_document(registry), *(service_document(registry, name) for name in registry.services)):
        validate(json.loads(json.dumps(document)))


def test_every_way_to_call_is_there_but_for_private_handlers() -> None:
    paths = services_document(FakeEngine().registry)["paths"]
    for path in (
        "/restate/call/Cart/{key}/add",
        "/restate/scope/{scope}/send/Cart/{key}/add",
        "/restate/invocation/Cart/{key}/add/{idempotencyKey}/output",
        "/restate/workflow/Signup/{key}/attach",
        "/restate/promises/Signup/{key}/{promise}/resolve",
        "/restate/signals/{invocationId}/{name}/reject",
    ):
        assert path in paths
    assert not any("secret" in path for path in paths)
    parameters = paths["/restate/scope/{scope}/send/Cart/{key}/add"]["post"]["parameters"]
    named = [each["$ref"].rpartition("/")[2] for each in parameters]
    assert named == ["key", "scope", "limitKey", "idempotencyKey", "priority", "delay"]
    assert "requestBody" not in paths["/restate/call/Echo/nothing"]["post"]


def test_a_private_service_has_no_document_and_is_not_named() -> None:
    engine = FakeEngine()
    private = ServiceManifest(
        name="Locker", ty="SERVICE", handlers=[HandlerManifest(name="open", ingress_private=True)]
    )
    engine.deploy("http://locker:9080", msgspec.structs.replace(MANIFEST, services=[private]))
    for name in ("Locker", "Locke"):
        with pytest.raises(UnknownTarget, match=f"no service {name} in any deployment. What exists: service Cart"):
            service_document(engine.registry, name)


def test_where_all_is_private_a_404_does_not_say_that_nothing_is_deployed() -> None:
    engine = FakeEngine()
    engine.registry = Registry(engine.registry.defaults)
    private = ServiceManifest(name="Vault", ty="SERVICE", handlers=[HandlerManifest(name="open", ingress_private=True)])
    engine.deploy("http://vault:9080", msgspec.structs.replace(MANIFEST, services=[private]))
    with pytest.raises(UnknownTarget, match=r"Vault in any deployment\. Nothing that can be called is deployed yet"):
        service_document(engine.registry, "Vault")


def test_definitions_of_schemas_become_components_once() -> None:
    registry = serving(a=claim(LINE), b=claim(LINE), c=claim({"type": "string"}), tree=TREE)
    document = json.loads(json.dumps(service_document(registry, "Shop.v-1")))
    validate(document)
    assert document["info"]["description"] == "Sells things"
    schemas = document["components"]["schemas"]
    assert schemas["Line"] == LINE
    assert schemas["Line_2"] == {"type": "string"}
    assert schemas["Node"]["properties"]["next"] == {"$ref": "#/components/schemas/Node"}
    for handler, line in (("a", "Line"), ("b", "Line"), ("c", "Line_2")):
        schema = schemas[f"Shop.v-1.{handler}.input"]
        assert schema["properties"]["line"] == {"$ref": f"#/components/schemas/{line}"}
    validator = validator_for({**document, "$ref": "#/components/schemas/Shop.v-1.a.input"})
    assert validator.is_valid({"line": {"code": "x"}})
    assert not validator.is_valid({"line": {}})


def test_a_schema_that_cannot_be_used_is_left_out() -> None:
    registry = serving(bad={"type": 7}, dangling={"$ref": "#/$defs/Absent"})
    validate(json.loads(json.dumps(service_document(registry, "Shop.v-1"))))


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {"type": "string"},
        {"type": ["integer", "null"], "minimum": 7},
        {"type": "array", "items": {"enum": ["a", "b"]}},
        {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
        {"allOf": [{"type": "object", "properties": {"a": {"const": 1}}}, {"properties": {"b": {"default": 2}}}]},
        claim(LINE),
        TREE,
    ],
)
def test_examples_fit_their_schemas(schema: Any) -> None:
    (example,) = example_of(schema)
    assert is_valid(schema, example)


@pytest.mark.parametrize("schema", [False, {"type": "string", "pattern": "^x{7}$"}, {"$ref": "#/$defs/Absent"}])
def test_no_example_is_better_than_a_wrong_one(schema: Any) -> None:
    assert example_of(schema) == []


def test_the_document_of_all_is_made_again_when_a_service_changed() -> None:
    engine = FakeEngine()
    documents = Documents(engine.registry)
    first = documents.document(None)
    assert documents.document(None) is first
    cart = next(service for service in MANIFEST.services if service.name == "Cart")
    more = msgspec.structs.replace(cart, handlers=[*cart.handlers, HandlerManifest(name="more")])
    engine.deploy("http://more:9080", msgspec.structs.replace(MANIFEST, services=[more]))
    assert b"/restate/call/Cart/{key}/more" in documents.document(None)
