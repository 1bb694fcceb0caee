"""Manifests: written and read in all four versions; what the protocol refuses is refused, and says where."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.errors import DeploymentRejected
from perdure.protocol.discovery import (
    ACCEPT,
    HandlerManifest,
    Manifest,
    Payload,
    ServiceManifest,
    accepted_version,
    content_type,
    decode_manifest,
    encode_manifest,
)
from perdure.times import DELAY_MS_MAX

MINIMAL: dict[str, Any] = {
    "protocolMode": "BIDI_STREAM",
    "minProtocolVersion": 5,
    "maxProtocolVersion": 7,
    "services": [{"name": "One", "ty": "SERVICE", "handlers": [{"name": "h"}]}],
}
V4 = content_type(4)

names = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name.lower() not in ("restate", "openapi")
)
milliseconds = st.integers(0, DELAY_MS_MAX)
payloads = st.builds(
    Payload,
    content_type=st.none() | st.sampled_from(["application/json", "*/*"]),
    json_schema=st.just(msgspec.UNSET) | st.sampled_from([{"type": "string"}, True, {}]),
    required=st.none() | st.booleans(),
    set_content_type_if_empty=st.none() | st.booleans(),
)
inform: dict[str, st.SearchStrategy[Any]] = {  # since manifest version 2, and only for show
    "documentation": st.none() | st.text(max_size=8),
    "metadata": st.none() | st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2),
}
since_3: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(
        ("inactivity_timeout", "abort_timeout", "journal_retention", "idempotency_retention"), st.none() | milliseconds
    ),
    "enable_lazy_state": st.none() | st.booleans(),
    "ingress_private": st.none() | st.booleans(),
}
since_4: dict[str, st.SearchStrategy[Any]] = {
    "retry_policy_initial_interval": st.none() | milliseconds,
    "retry_policy_max_interval": st.none() | milliseconds,
    "retry_policy_max_attempts": st.none() | st.integers(1, 100),
    "retry_policy_exponentiation_factor": st.none() | st.sampled_from([1.5, 2.0]),
    "retry_policy_on_max_attempts": st.none() | st.sampled_from(["PAUSE", "KILL"]),
}


def manifests(version: int) -> st.SearchStrategy[Manifest]:
    """Manifests that say nothing newer than `version`."""
    options = (inform if version >= 2 else {}) | (since_3 if version >= 3 else {}) | (since_4 if version >= 4 else {})
    handlers = st.builds(
        HandlerManifest,
        name=names,
        ty=st.sampled_from([None, "EXCLUSIVE", "SHARED", "WORKFLOW"]),
        input=st.none() | payloads,
        output=st.none() | payloads,
        workflow_completion_retention=st.none() | milliseconds if version >= 3 else st.none(),
        **options,
    )
    services = st.builds(
        ServiceManifest,
        name=names,
        ty=st.sampled_from(["SERVICE", "VIRTUAL_OBJECT", "WORKFLOW"]),
        handlers=st.lists(handlers, max_size=2, unique_by=lambda handler: handler.name),
        **options,
    )
    return st.builds(
        Manifest,
        protocol_mode=st.sampled_from(["BIDI_STREAM", "REQUEST_RESPONSE"]),
        min_protocol_version=st.integers(1, 7),
        max_protocol_version=st.integers(7, 99),
        services=st.lists(services, max_size=2, unique_by=lambda service: service.name),
        lambda_compression=st.none() | st.just("zstd") if version >= 4 else st.none(),
    )


@pytest.mark.parametrize("version", [1, 2, 3, 4])
@given(st.data())
def test_a_manifest_survives_each_version_that_can_say_it(version: int, data: st.DataObject) -> None:
    manifest = data.draw(manifests(version))
    assert decode_manifest(content_type(version), encode_manifest(manifest, version)) == manifest


@pytest.mark.parametrize("version", [1, 2, 3, 4])
@given(st.data())
def test_an_older_version_never_holds_a_newer_field(version: int, data: st.DataObject) -> None:
    manifest = data.draw(manifests(4))
    try:
        written = encode_manifest(manifest, version)
    except DeploymentRejected:
        return  # an option that the version cannot express
    read = decode_manifest(content_type(version), written)
    assert encode_manifest(read, version) == written


def _with(**service_or_handler: Any) -> Manifest:
    handler = HandlerManifest(name="h", **service_or_handler.get("handler", {}))
    service = ServiceManifest(name="One", ty="SERVICE", handlers=[handler], **service_or_handler.get("service", {}))
    return Manifest(protocol_mode="BIDI_STREAM", min_protocol_version=5, max_protocol_version=7, services=[service])


def test_what_only_informs_is_left_out_of_the_version_that_lacks_it() -> None:
    manifest = _with(service={"documentation": "one", "metadata": {"team": "a"}}, handler={"documentation": "h"})
    assert json.loads(encode_manifest(manifest, 1))["services"] == MINIMAL["services"]


@pytest.mark.parametrize(
    ("options", "version", "message"),
    [
        ({"service": {"enable_lazy_state": True}}, 2, "enableLazyState is only supported in discovery .* version 3"),
        ({"handler": {"ingress_private": True}}, 1, "ingressPrivate .* 3"),
        ({"handler": {"retry_policy_max_attempts": 3}}, 3, "retryPolicyMaxAttempts .* 4"),
    ],
)
def test_an_option_that_the_version_cannot_say_is_refused(options: Any, version: int, message: str) -> None:
    with pytest.raises(DeploymentRejected, match=message) as refused:
        encode_manifest(_with(**options), version)
    assert refused.value.http_status == 500


def test_the_wire_names_are_the_protocols() -> None:
    manifest = _with(
        handler={
            "input": Payload(required=False, content_type="application/json", json_schema={"type": "string"}),
            "output": Payload(content_type="application/json", set_content_type_if_empty=False),
        }
    )
    assert json.loads(encode_manifest(manifest, 4))["services"][0]["handlers"] == [
        {
            "name": "h",
            "input": {"required": False, "contentType": "application/json", "jsonSchema": {"type": "string"}},
            "output": {"contentType": "application/json", "setContentTypeIfEmpty": False},
        }
    ]


# ---- what the official engine accepts and refuses (protocol sheet, section 2.1) ----


def read(document: dict[str, Any], type: str | None = V4) -> Manifest:
    return decode_manifest(type, json.dumps(document).encode())


def changed(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in (MINIMAL | fields).items() if value is not ...}


@pytest.mark.parametrize(
    "document",
    [
        MINIMAL,
        changed(maxProtocolVersion=99, minProtocolVersion=1),
        changed(services=[]),
        changed(services=[{"name": "One", "ty": "SERVICE", "handlers": []}]),
        changed(services=[{"name": "One", "ty": "SERVICE", "handlers": [{"name": "h", "ty": "SHARED"}]}]),
    ],
)
def test_accepted(document: dict[str, Any]) -> None:
    assert len(read(document).services) == len(document["services"])


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_each_manifest_version_is_accepted(version: int) -> None:
    read(MINIMAL, content_type(version))


@pytest.mark.parametrize(
    "type",
    [None, "", "application/json", f"{V4}; charset=utf-8", "application/vnd.restate.endpointmanifest.v5+json"],
)
def test_another_content_type_is_refused(type: str | None) -> None:
    with pytest.raises(DeploymentRejected, match="content type") as refused:
        read(MINIMAL, type)
    assert refused.value.restate_code == "META0013"


def service(**fields: Any) -> list[dict[str, Any]]:
    return [{"name": "One", "ty": "SERVICE", "handlers": [{"name": "h"}]} | fields]


@pytest.mark.parametrize(
    ("document", "code", "message"),
    [
        (changed(protocolMode=...), "META0013", "protocolMode"),
        (changed(minProtocolVersion=...), "META0013", "minProtocolVersion"),
        (changed(minProtocolVersion=7, maxProtocolVersion=5), "META0013", "7 to 5"),
        (changed(minProtocolVersion=1, maxProtocolVersion=4), "META0012", "1 to 4"),
        (changed(minProtocolVersion=8, maxProtocolVersion=9), "META0012", "8 to 9"),
        (changed(services=service(name="1x")), "META0013", "1x"),
        (changed(services=service(name="x\n")), "META0013", "does not match"),
        (changed(services=service(name="restate")), "META0005", "reserved"),
        (changed(services=service(handlers=[{"name": "a-b"}])), "META0013", "a-b"),
        (changed(services=service(ty="ACTOR")), "META0013", "ACTOR"),
        (changed(services=service() * 2), "META0013", "twice"),
        (changed(services=service(handlers=[{"name": "h"}, {"name": "h"}])), "META0013", "twice"),
        (changed(own=1), "META0013", "own"),
        (changed(services=service(own=1)), "META0013", "own"),
        (changed(services=service(handlers=[{"name": "h", "own": 1}])), "META0013", "own"),
        (changed(services=service(handlers=[{"name": "h", "input": {"own": 1}}])), "META0013", "own"),
    ],
)
def test_refused(document: dict[str, Any], code: str, message: str) -> None:
    with pytest.raises(DeploymentRejected, match=message) as refused:
        read(document)
    assert refused.value.restate_code == code


@given(st.binary(max_size=64) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(MINIMAL)), inner, max_size=4),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_body_is_a_manifest_or_refused(body: bytes) -> None:
    with pytest.raises(DeploymentRejected):
        decode_manifest(V4, body)


@pytest.mark.parametrize(
    ("accept", "version"),
    [
        (ACCEPT, 4),
        (None, 2),
        ("", 2),
        ("*/*", 2),
        (content_type(3), 3),
        (f"{content_type(2)}, {content_type(3)};q=0.5", 3),
        (content_type(5), None),
        ("text/html", None),
    ],
)
def test_the_highest_accepted_version_is_answered(accept: str | None, version: int | None) -> None:
    assert accepted_version(accept) == version


# ---- manifests of the official SDKs, as captured ----

PYTHON_1_3 = """
{"protocolMode":"BIDI_STREAM","minProtocolVersion":5,"maxProtocolVersion":7,"services":[
 {"name":"Greeter","ty":"SERVICE","handlers":[
   {"name":"run1","input":{"required":false,"contentType":"application/json","jsonSchema":{"type":"string"}},
    "output":{"contentType":"application/json","setContentTypeIfEmpty":false,"jsonSchema":{"type":"string"}}}]},
 {"name":"Obj","ty":"VIRTUAL_OBJECT","handlers":[
   {"name":"clr","ty":"EXCLUSIVE","input":{},"output":{"setContentTypeIfEmpty":false}}]},
 {"name":"Lazy","ty":"VIRTUAL_OBJECT","handlers":[{"name":"h"}],"enableLazyState":true},
 {"name":"Wf","ty":"WORKFLOW","handlers":[{"name":"main","ty":"WORKFLOW"}]}]}"""

TYPESCRIPT_1_17 = """
{"minProtocolVersion":5,"maxProtocolVersion":7,"services":[
 {"name":"TsGreeter","ty":"SERVICE","handlers":[
   {"name":"echo","input":{"required":false,"contentType":"application/json"},
    "output":{"setContentTypeIfEmpty":false,"contentType":"application/json"}}],
  "journalRetention":3600000,"inactivityTimeout":5000,"ingressPrivate":false,
  "retryPolicyInitialInterval":100,"retryPolicyMaxAttempts":5,"retryPolicyOnMaxAttempts":"PAUSE"},
 {"name":"TsObj","ty":"VIRTUAL_OBJECT","handlers":[{"name":"sh","ty":"SHARED"},{"name":"ex","ty":"EXCLUSIVE"}]},
 {"name":"TsWf","ty":"WORKFLOW","handlers":[
   {"name":"run","ty":"WORKFLOW","workflowCompletionRetention":172800000},{"name":"sig","ty":"SHARED"}]}],
 "protocolMode":"BIDI_STREAM"}"""


@pytest.mark.parametrize("captured", [PYTHON_1_3, TYPESCRIPT_1_17], ids=["python", "typescript"])
def test_the_official_manifests_are_read_and_written_alike(captured: str) -> None:
    assert json.loads(encode_manifest(decode_manifest(V4, captured.encode()), 4)) == json.loads(captured)


@pytest.mark.parametrize(
    "option",
    [
        '"retryPolicyExponentiationFactor":0',
        '"retryPolicyInitialInterval":-1',
        '"retryPolicyMaxAttempts":0',
        '"inactivityTimeout":-5',
    ],
)
def test_options_that_make_no_sense_are_refused_with_their_place(option: str) -> None:
    body = (
        '{"protocolMode":"BIDI_STREAM","minProtocolVersion":5,"maxProtocolVersion":7,'
        f'"services":[{{"name":"A","ty":"SERVICE",{option},"handlers":[{{"name":"h"}}]}}]}}'
    )
    with pytest.raises(DeploymentRejected, match=option.split('"')[1]):
        decode_manifest(content_type(4), body.encode())


@pytest.mark.parametrize("for_ever", [DELAY_MS_MAX + 1, 2**63 - 1, 2**64 - 1, 10**30])
def test_for_ever_is_as_long_as_anything_can_be(for_ever: int) -> None:
    """Other SDKs write an endless duration as the largest number that they have."""
    said = dict.fromkeys(("journalRetention", "abortTimeout", "retryPolicyMaxInterval"), for_ever)
    handler = {"name": "h", "workflowCompletionRetention": for_ever, "retryPolicyMaxAttempts": for_ever}
    service = {"name": "One", "ty": "SERVICE", "handlers": [handler], **said}
    [read] = decode_manifest(V4, json.dumps(MINIMAL | {"services": [service]}).encode()).services
    assert {read.journal_retention, read.abort_timeout, read.retry_policy_max_interval} == {DELAY_MS_MAX}
    assert read.handlers[0].workflow_completion_retention == DELAY_MS_MAX
    assert msgspec.json.encode(read)  # as the store keeps it
