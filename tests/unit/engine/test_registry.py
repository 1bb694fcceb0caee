"""The registry: what a registration may change, and which deployment serves a call."""

import msgspec
import pytest

from perdure.engine.addresses import EMBEDDED_URI, Address, normal_uri
from perdure.engine.config import HandlerDefaults, RetryPolicy
from perdure.engine.deployment import Deployment
from perdure.engine.registration import Manner, Registration, plan
from perdure.engine.registry import Registry
from perdure.engine.registry_views import (
    deployment_view,
    deployments_view,
    friendly_duration,
    registration_view,
    service_view,
    services_view,
)
from perdure.errors import DeploymentRejected, UnknownDeployment, UnknownTarget, UsageError
from perdure.protocol.discovery import HandlerManifest, Manifest, Payload, ServiceManifest, ServiceType
from perdure.protocol.ids import DeploymentId
from tests.unit.server.fake_engine import NothingLeft

URI = "http://localhost:9080"


def service(name: str, *handlers: str, ty: ServiceType = "SERVICE") -> ServiceManifest:
    return ServiceManifest(name=name, ty=ty, handlers=[HandlerManifest(name=handler) for handler in handlers])


def manifest(*services: ServiceManifest, low: int = 5, high: int = 7) -> Manifest:
    return Manifest(
        protocol_mode="BIDI_STREAM", min_protocol_version=low, max_protocol_version=high, services=list(services)
    )


class Admin:
    """Registers as the engine does, with ids dp_1, dp_2 ... and one second between registrations."""

    def __init__(self) -> None:
        self.registry = Registry(HandlerDefaults())
        self.count = 0

    def register(
        self, uri: str, manifest: Manifest, *, use_http_11: bool = False, force: bool = False, breaking: bool = False
    ) -> Registration:
        self.count += 1
        registration = plan(
            self.registry,
            Address(normal_uri(uri), use_http_11),
            manifest,
            new_id=DeploymentId(f"dp_{self.count}"),
            now_ms=self.count * 1000,
            manner=Manner(force, breaking),
        )
        self.registry.put(registration.deployment)
        return registration


@pytest.fixture
def admin() -> Admin:
    return Admin()


def test_a_call_goes_to_the_deployment_that_was_registered_last(admin: Admin) -> None:
    admin.register("http://a:1", manifest(service("Greeter", "greet"), service("Other", "go")))
    admin.register("http://b:1", manifest(service("Greeter", "greet")))
    registry = admin.registry

    assert registry.resolve("Greeter", "greet").deployment.id == "dp_2"
    assert registry.resolve("Greeter", "greet").revision == 2
    assert registry.resolve("Other", "go").deployment.id == "dp_1"
    assert registry.resolve_pinned(DeploymentId("dp_1"), "Greeter", "greet").deployment.uri == "http://a:1/"
    assert registry.service("Greeter").revision == 2


def test_a_plan_changes_nothing(admin: Admin) -> None:
    plan(admin.registry, Address(URI), manifest(service("Greeter", "greet")), new_id=DeploymentId("dp_x"), now_ms=1)
    assert not admin.registry.deployments
    with pytest.raises(UnknownTarget, match="Nothing is deployed yet"):
        admin.registry.resolve("Greeter", "greet")


def test_an_unknown_target_names_what_is_near(admin: Admin) -> None:
    admin.register(URI, manifest(service("Greeter", "greet")))
    with pytest.raises(UnknownTarget, match="Did you mean Greeter/greet"):
        admin.registry.resolve("Greeter", "gret")
    with pytest.raises(UnknownTarget, match="Did you mean service Greeter"):
        admin.registry.service("Greter")
    with pytest.raises(UnknownTarget, match="greet"):
        admin.registry.resolve_pinned(DeploymentId("dp_1"), "Greeter", "gret")
    with pytest.raises(UnknownDeployment):
        admin.registry.resolve_pinned(DeploymentId("dp_9"), "Greeter", "greet")


def test_the_same_again_exists(admin: Admin) -> None:
    first = admin.register(URI, manifest(service("Greeter", "greet")))
    again = admin.register("HTTP://LocalHost:9080/", manifest(service("Greeter", "greet")))
    assert (first.outcome, again.outcome) == ("created", "exists")
    assert not again.changed
    assert again.deployment == first.deployment


def test_an_upgraded_sdk_with_the_same_services_needs_no_force_but_is_stored(admin: Admin) -> None:
    admin.register(URI, manifest(service("Greeter", "greet"), high=6))
    again = admin.register(URI, manifest(service("Greeter", "greet"), high=7))
    assert again.outcome == "exists"
    assert again.changed
    resolved = admin.registry.resolve("Greeter", "greet")
    assert (resolved.protocol_version, resolved.revision, resolved.deployment.id) == (7, 1, "dp_1")


def test_changed_services_at_the_same_uri_need_force(admin: Admin) -> None:
    admin.register(URI, manifest(service("Greeter", "greet"), service("Kept", "go")))
    changed = manifest(service("Greeter", "greet", "wave"), service("Kept", "go"), service("New", "go"))
    with pytest.raises(DeploymentRejected, match=r"new: New; changed: Greeter.*--force") as rejected:
        admin.register(URI, changed)
    assert (rejected.value.restate_code, rejected.value.http_status) == ("META0004", 409)

    forced = admin.register(URI, changed, force=True)
    assert forced.outcome == "replaced"
    assert forced.deployment.id == "dp_1"
    assert forced.deployment.created_at_ms == 1000
    assert forced.deployment.revisions == {"Greeter": 2, "Kept": 1, "New": 1}


def test_another_way_to_the_same_uri_needs_force(admin: Admin) -> None:
    admin.register(URI, manifest(service("Greeter", "greet")))
    with pytest.raises(DeploymentRejected, match="the way to it"):
        admin.register(URI, manifest(service("Greeter", "greet")), use_http_11=True)
    forced = admin.register(URI, manifest(service("Greeter", "greet")), use_http_11=True, force=True)
    assert forced.deployment.protocol_mode == "REQUEST_RESPONSE"
    assert forced.deployment.revisions == {"Greeter": 1}


def test_another_kind_of_service_needs_breaking(admin: Admin) -> None:
    admin.register("http://a:1", manifest(service("Cart", "add")))
    with pytest.raises(DeploymentRejected, match=r"SERVICE.*VIRTUAL_OBJECT") as rejected:
        admin.register("http://b:1", manifest(service("Cart", "add", ty="VIRTUAL_OBJECT")))
    assert rejected.value.restate_code == "META0006"

    admin.register("http://b:1", manifest(service("Cart", "add", ty="VIRTUAL_OBJECT")), breaking=True)
    resolved = admin.registry.resolve("Cart", "add")
    assert (resolved.service_type, resolved.handler_type, resolved.revision) == ("VIRTUAL_OBJECT", "EXCLUSIVE", 2)


def test_a_removed_handler_needs_breaking_and_is_told(admin: Admin) -> None:
    admin.register("http://a:1", manifest(service("Greeter", "greet", "wave")))
    with pytest.raises(DeploymentRejected, match=r"Greeter/wave is gone.*--breaking") as rejected:
        admin.register("http://b:1", manifest(service("Greeter", "greet")))
    assert (rejected.value.restate_code, rejected.value.http_status) == ("META0006", 409)

    registration = admin.register("http://b:1", manifest(service("Greeter", "greet")), breaking=True)
    assert [info.code for info in registration.info] == ["handler-removed"]
    with pytest.raises(UnknownTarget):
        admin.registry.resolve("Greeter", "wave")
    assert admin.registry.resolve_pinned(ids_of(registration, -1), "Greeter", "wave").handler == "wave"


def ids_of(registration: Registration, offset: int) -> DeploymentId:
    """The id of a deployment that was registered so many before."""
    return DeploymentId(f"dp_{int(registration.deployment.id.removeprefix('dp_')) + offset - 1}")


def test_force_implies_breaking(admin: Admin) -> None:
    admin.register("http://a:1", manifest(service("Cart", "add", "drop")))
    forced = admin.register("http://b:1", manifest(service("Cart", "add", ty="VIRTUAL_OBJECT")), force=True)
    assert [info.code for info in forced.info] == ["service-type-changed", "handler-removed"]


def test_a_refusal_counts_the_invocations_that_could_not_go_on(admin: Admin) -> None:
    admin.register(URI, manifest(service("Greeter", "greet", "wave")))
    waiting = {(None, "wave"): 2, ("dp_1", "wave"): 3}
    with pytest.raises(DeploymentRejected, match=r"Greeter/wave is gone.*5 invocations"):
        plan(
            admin.registry,
            Address(normal_uri(URI)),
            manifest(service("Greeter", "greet")),
            new_id=DeploymentId("dp_9"),
            now_ms=1,
            in_flight=lambda home, _, handler: waiting.get((home, handler), 0),
        )


def test_a_service_that_a_replacement_drops_falls_back_to_the_deployment_that_still_has_it(admin: Admin) -> None:
    admin.register("http://a:1", manifest(service("Greeter", "greet")))
    admin.register("http://b:1", manifest(service("Greeter", "greet"), service("Other", "go")))
    registration = admin.register("http://b:1", manifest(service("Other", "go")), force=True)
    assert [info.code for info in registration.info] == ["service-removed"]
    assert admin.registry.resolve("Greeter", "greet").deployment.id == "dp_1"


def test_the_embedded_deployment_keeps_its_id_when_the_code_changes(admin: Admin) -> None:
    first = admin.register(EMBEDDED_URI, manifest(service("Greeter", "greet")), force=True)
    second = admin.register(EMBEDDED_URI, manifest(service("Greeter", "wave")), force=True)
    assert second.deployment.id == first.deployment.id
    assert [info.code for info in second.info] == ["handler-removed"]


def test_a_manifest_that_cannot_be_served_is_refused_where_no_discovery_checked_it(admin: Admin) -> None:
    with pytest.raises(DeploymentRejected, match="reserved"):
        admin.register(EMBEDDED_URI, manifest(service("restate", "go")))


def test_a_registry_read_back_from_the_store_serves_the_same(admin: Admin) -> None:
    admin.register("http://a:1", manifest(service("Greeter", "greet"), service("Other", "go")))
    admin.register("http://b:1", manifest(service("Greeter", "greet")))
    stored = [deployment.encode() for deployment in admin.registry.deployments.values()]

    recovered = Registry(HandlerDefaults(), map(Deployment.decode, stored))
    assert recovered.deployments == admin.registry.deployments
    assert recovered.services == admin.registry.services
    assert recovered.resolve("Greeter", "greet") == admin.registry.resolve("Greeter", "greet")


def test_a_handlers_options_go_over_its_services_over_the_engines_field_by_field() -> None:
    registry = Registry(HandlerDefaults(abort_timeout_ms=7, retry_policy=RetryPolicy(factor=3.0)))
    handlers = [
        HandlerManifest(name="plain"),
        HandlerManifest(
            name="own", inactivity_timeout=0, ingress_private=False, retry_policy_max_attempts=2, enable_lazy_state=True
        ),
    ]
    told = ServiceManifest(
        name="S",
        ty="SERVICE",
        handlers=handlers,
        inactivity_timeout=5,
        ingress_private=True,
        retry_policy_max_attempts=9,
    )
    registry.put(plan(registry, Address(URI), manifest(told), new_id=DeploymentId("dp_1"), now_ms=1).deployment)

    plain, own = registry.resolve("S", "plain").options, registry.resolve("S", "own").options
    assert (plain.inactivity_timeout_ms, plain.abort_timeout_ms, plain.ingress_private) == (5, 7, True)
    assert (own.inactivity_timeout_ms, own.ingress_private, own.enable_lazy_state) == (0, False, True)
    assert plain.retry_policy == RetryPolicy(factor=3.0, max_attempts=9)
    assert own.retry_policy == RetryPolicy(factor=3.0, max_attempts=2)


@pytest.mark.parametrize(
    ("ty", "said", "effective"),
    [
        ("SERVICE", "SHARED", None),
        ("VIRTUAL_OBJECT", None, "EXCLUSIVE"),
        ("VIRTUAL_OBJECT", "SHARED", "SHARED"),
        ("WORKFLOW", None, "WORKFLOW"),
        ("WORKFLOW", "SHARED", "SHARED"),
    ],
)
def test_a_handlers_type_follows_from_its_service_where_it_is_not_said(admin: Admin, ty, said, effective) -> None:
    one = ServiceManifest(name="S", ty=ty, handlers=[HandlerManifest(name="h", ty=said)])
    admin.register(URI, manifest(one))
    assert admin.registry.resolve("S", "h").handler_type == effective


def test_an_address_has_one_spelling() -> None:
    assert normal_uri("localhost:9080") == normal_uri("http://LOCALHOST:9080/") == "http://localhost:9080/"
    assert normal_uri("https://host/prefix/") == "https://host/prefix"
    assert normal_uri("http://[::1]:9080") == "http://[::1]:9080/"
    assert normal_uri("http://User:Pass@Host:1/A") == "http://User:Pass@host:1/A"


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("ftp://host", "neither http nor https"),
        ("http://", "no host"),
        ("http://:80", "no host"),
        ("http://h:99999999", "[Pp]ort out of range"),
        ("http://h:port", "[Pp]ort could not be cast"),
        ("http://[::1", "Invalid IPv6"),
        ("http://[zz]:1", "zz"),
        ("http://[fe80::1%25eth0]:1", "zone"),
        ("http://exa mple:80", "'exa mple' is no host name"),
        ("http://a<b:1", "'a<b' is no host name"),
        ("http://1.2.3.256:1", "256"),
        ("http://1.2.3.4.5:1", "4 octets"),
    ],
)
def test_what_is_no_address_is_said_with_the_reason(uri: str, why: str) -> None:
    with pytest.raises(UsageError, match=rf"uri: .*{why}.*http://host:9080"):
        normal_uri(uri)


def test_views_have_the_open_interfaces_shape(admin: Admin) -> None:
    greet = HandlerManifest(
        name="greet", ty="SHARED", input=Payload(content_type="application/json", json_schema={"type": "string"})
    )
    cart = ServiceManifest(name="Cart", ty="VIRTUAL_OBJECT", handlers=[greet], journal_retention=90_000)
    registration = admin.register(URI, manifest(cart))
    registry, left = admin.registry, NothingLeft()

    view = msgspec.to_builtins(deployments_view(registry, left))["deployments"][0]
    assert view["services"] == [{"name": "Cart", "revision": 1}]
    assert (view["uri"], view["protocol_type"], view["http_version"]) == (URI + "/", "BidiStream", "HTTP/2.0")
    assert view["created_at"] == "1970-01-01T00:00:01Z"
    assert (view["status"], view["serves"]) == ("active", ["Cart"])

    detail = deployment_view(registry, left, registration.deployment)
    [shown] = msgspec.to_builtins(services_view(registry))["services"]
    assert shown == msgspec.to_builtins(service_view(registry, "Cart")) == msgspec.to_builtins(detail.services[0])
    assert (shown["ty"], shown["public"], shown["journal_retention"]) == ("VirtualObject", True, "1m 30s")
    assert "workflow_completion_retention" not in shown
    [handler] = shown["handlers"]
    assert (handler["ty"], handler["input_json_schema"]) == ("Shared", {"type": "string"})
    assert handler["input_description"] == "none or value of content-type 'application/json'"
    assert msgspec.to_builtins(registration_view(registry, registration))["services"] == [shown]


@pytest.mark.parametrize(("ms", "text"), [(0, "0s"), (500, "500ms"), (60_000, "1m"), (86_400_000, "1d")])
def test_durations_read_as_people_write_them(ms: int, text: str) -> None:
    assert friendly_duration(ms) == text
