"""The registry: what a registration may change, and which deployment serves a call."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.engine.addresses import EMBEDDED_URI, Address, normal_uri
from perdure.engine.config import HandlerDefaults, RetryPolicy
from perdure.engine.deployment import Deployment
from perdure.engine.events import Setting
from perdure.engine.options import Overrides
from perdure.engine.registration import Manner, Registration, plan
from perdure.engine.registry import Registry
from perdure.errors import Conflict, DeploymentRejected, ServiceDrained, UnknownDeployment, UnknownTarget, UsageError
from perdure.protocol.discovery import HandlerManifest, Manifest, Payload, ServiceManifest, ServiceType
from perdure.protocol.ids import DeploymentId
from perdure.server.admin.deployment_views import deployment_view, deployments_view, registration_view
from perdure.server.admin.service_views import service_view, services_view
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
    with pytest.raises(UnknownTarget, match="Nothing that can be called is deployed yet"):
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


def test_an_address_that_an_older_engine_stored_with_its_port_is_the_same(admin: Admin) -> None:
    first = admin.register("http://h", manifest(service("Greeter", "greet"))).deployment
    admin.registry.put(msgspec.structs.replace(first, uri="http://h:80/"))
    again = admin.register("http://h:80", manifest(service("Greeter", "greet"))).deployment
    assert again.id == first.id


def test_an_address_has_one_spelling() -> None:
    assert normal_uri("localhost:9080") == normal_uri("http://LOCALHOST:9080/") == "http://localhost:9080/"
    assert normal_uri("https://host/prefix/") == "https://host/prefix"
    assert normal_uri("http://[::1]:9080") == "http://[::1]:9080/"
    assert normal_uri("http://h:80/a") == normal_uri("http://h:/a") == normal_uri("http://h:080/a") == "http://h/a"
    assert normal_uri("https://u:1@h:443") == "https://u:1@h/"
    assert normal_uri("http://[::80]:80") == normal_uri("http://[::80]") == "http://[::80]/"
    assert (normal_uri("http://h:443"), normal_uri("https://h:80")) == ("http://h:443/", "https://h:80/")
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
    assert view["created_at"] == "1970-01-01T00:00:01.000Z"
    assert (view["status"], view["serves"]) == ("active", ["Cart"])

    detail = deployment_view(registry, left, registration.deployment)
    [shown] = msgspec.to_builtins(services_view(registry))["services"]
    assert shown == msgspec.to_builtins(service_view(registry, "Cart")) == msgspec.to_builtins(detail.services[0])
    assert (shown["ty"], shown["public"], shown["journal_retention"]) == ("VirtualObject", True, "1m 30s")
    assert "workflow_completion_retention" not in shown
    [handler] = shown["handlers"]
    assert (handler["ty"], handler["input_json_schema"]) == ("Shared", {"type": "string"})
    assert handler["input_description"] == "JSON string"
    assert msgspec.to_builtins(registration_view(registry, registration))["services"] == [shown]


class Store:
    """Keeps settings and deployments as the engine's store does, and gives a registry that is read back from it."""

    def __init__(self) -> None:
        self.settings: dict[tuple[str, str], bytes] = {}
        self.registry = Registry(HandlerDefaults())

    def keep(self, changes: tuple[Setting, ...]) -> None:
        for kind, name, record in changes:
            if record is None:
                self.settings.pop((kind, name), None)
            else:
                self.settings[kind, name] = record

    def read_back(self) -> Registry:
        deployments = [Deployment.decode(each.encode()) for each in self.registry.deployments.values()]
        return Registry(
            HandlerDefaults(),
            deployments,
            lambda wanted: {name: record for (kind, name), record in self.settings.items() if kind == wanted},
        )


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["register", "promote", "demote", "drain", "remove", "override"]),
        st.integers(0, 3),
        st.sets(st.sampled_from("AB"), min_size=1),
    ),
    max_size=30,
)


@given(OPERATIONS)
def test_whatever_operators_do_calls_go_to_the_promoted_or_the_latest_also_after_a_restart(
    operations: list[tuple[str, int, set[str]]],
) -> None:
    store, revisions = Store(), dict[str, list[int]]()
    registry = store.registry
    for count, (operation, which, names) in enumerate(operations):
        ids = list(registry.deployments)
        id = ids[which % len(ids)] if ids else None
        match operation:
            case "register":
                offered = manifest(*(service(name, "go") for name in sorted(names)))
                new_id = DeploymentId(f"dp_{count}")
                planned = plan(registry, Address(f"http://h{count}/"), offered, new_id=new_id, now_ms=count)
                store.keep(registry.put(planned.deployment))
                for name, revision in planned.deployment.revisions.items():
                    revisions.setdefault(name, []).append(revision)
            case "promote" if id is not None and not registry.deployments[id].draining:
                store.keep(registry.promote(id))
                assert set(registry.serves(id)) == set(registry.deployments[id].revisions)
            case "demote" if id is not None:
                store.keep(registry.demote(id))
            case "drain" if id is not None:
                store.keep(registry.put(msgspec.structs.replace(registry.deployments[id], draining=True)))
            case "remove" if id is not None:
                store.keep(registry.remove(id))
            case "override" if registry.services:
                revision = registry.service(sorted(registry.services)[0])
                store.keep(registry.override(revision, Overrides(abort_timeout_ms=count)))
                assert registry.resolve(revision.name, "go").options.abort_timeout_ms == count
            case _:
                pass

    open_ones = [deployment for deployment in registry.deployments.values() if not deployment.draining]
    for name, revision in registry.services.items():
        having = [deployment for deployment in open_ones if name in deployment.revisions]
        latest = max(having, key=lambda deployment: deployment.revisions[name])
        assert revision.deployment_id == registry.promotions.get(name, latest.id)
    assert set(registry.services) == {name for deployment in open_ones for name in deployment.revisions}
    assert all(counted == list(range(1, len(counted) + 1)) for counted in revisions.values())  # none comes twice

    again = store.read_back()
    assert again.services == registry.services
    assert again.promotions == registry.promotions
    assert [again.next_revision(name) for name in "AB"] == [registry.next_revision(name) for name in "AB"]
    for name in registry.services:
        assert again.resolve(name, "go") == registry.resolve(name, "go")


def test_a_draining_deployment_cannot_be_promoted_and_says_why_it_takes_nothing(admin: Admin) -> None:
    first = admin.register(URI, manifest(service("Greeter", "greet"))).deployment
    admin.registry.put(msgspec.structs.replace(first, draining=True))
    with pytest.raises(Conflict, match="is being drained"):
        admin.registry.promote(first.id)
    with pytest.raises(ServiceDrained, match="dp_1 is being drained"):
        admin.registry.resolve("Greeter", "greet")
    again = admin.register(URI, manifest(service("Greeter", "greet")))
    assert ([info.code for info in again.info], again.deployment.draining) == (["drain-ended"], False)
