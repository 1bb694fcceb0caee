"""Request identity: tokens as the real server makes them, and what is wrong with all others."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import example, given
from hypothesis import strategies as st

from perdure.errors import Unauthenticated, UsageError
from perdure.protocol.identity import SCHEME_HEADER, TOKEN_HEADER, SigningKey, Verifier
from tests.unit.protocol.small_order import SMALL_ORDER, forged_over, identity_key_of

# A key that was made for this, and what restate-server 1.7.12 sent with it (for the object key `my key/ü` the last).
PEM = b"""-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIPEuE2pGMiTiQpAsEuD63X9SO13Sbe9pOF0HG+V+Z4JG
-----END PRIVATE KEY-----
"""
IDENTITY_KEY = "publickeyv1_GX7YGn2J9DhmVYdHjzLScZBMXH1uStqFKia2LyTbvJmk"
HEAD = (
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJFZERTQSIsImtpZCI6InB1YmxpY2tleXYxX0dYN1lHbjJKOURobVZZZEhqekxTY1pCTVhIMXVTdHFGS2lhMkx5"
    "VGJ2Sm1rIn0."
)
DISCOVER = (
    "eyJhdWQiOiIvZGlzY292ZXIiLCJleHAiOjE3OTUyNzY3NDksImlhdCI6MTc5NTI3NjY4OSwibmJmIjoxNzk1Mjc2NjI5fQ.rOxXVE-GM9zKw46Z"
    "zgr_kr-2GM3pHXcJup_c6LjMQXSIzvhI839UulXxfgeXGad3wEj29LI_daJ4a2c_FeTJCA"
)
INVOKE = (
    "eyJhdWQiOiIvaW52b2tlL0dyZWV0ZXIvZWNobyIsImV4cCI6MTc5NTI3Njc1MCwiaWF0IjoxNzk1Mjc2NjkwLCJuYmYiOjE3OTUyNzY2MzB9.Jq"
    "imHa7TIHk932hnXdQeHADNSCGCbx2prLiVAvOLSBOSiuB2BVuHzUfkPJL-9LSioV5iK8OBw8MqObVTG8XUCg"
)
INVOKE_KEYED = (
    "eyJhdWQiOiIvaW52b2tlL0NhcnQvYWRkIiwiZXhwIjoxNzk1Mjc2NzUwLCJpYXQiOjE3OTUyNzY2OTAsIm5iZiI6MTc5NTI3NjYzMCwic3ViIjoi"
    "bXkga2V5L8O8In0.ymQoQaUKMJKpSahYw9ee26IfsNAy3vu5At6u8Ew4bUSVQS8-uAadkrhLquQkSSuzYWQ5OJ8mJtNLEgeurL2DDw"
)
NOW = 1795276690
PATH = "/invoke/Greeter/echo"


def base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def base64_json(part: Any) -> str:
    return base64(json.dumps(part).encode())


def signed(key: SigningKey, claims: Any, head: Any = None) -> str:
    """A token with a real signature over whatever it says."""
    private = key._private_key  # pyright: ignore[reportPrivateUsage]
    text = f"{base64_json(head or {'typ': 'JWT', 'alg': 'EdDSA'})}.{base64_json(claims)}"
    return f"{text}.{base64(private.sign(text.encode()))}"


def claims(**changes: Any) -> dict[str, Any]:
    """What a good token claims, with changes; None takes a claim away."""
    all_of_them = {"aud": PATH, "exp": NOW + 60, "iat": NOW, "nbf": NOW - 60, **changes}
    return {name: value for name, value in all_of_them.items() if value is not None}


@pytest.fixture(scope="module")
def ours() -> SigningKey:
    return SigningKey.from_pem(PEM)


@pytest.fixture
def verifier(ours: SigningKey) -> Verifier:
    return Verifier([ours.identity_key])


def check(verifier: Verifier, token: str, *, path: str = PATH, now_s: int = NOW, key: str | None = None) -> str | None:
    return verifier.check({SCHEME_HEADER: "v1", TOKEN_HEADER: token}, path, now_s, key)


def refusal(verifier: Verifier, token: str, **how: Any) -> str:
    with pytest.raises(Unauthenticated) as refused:
        check(verifier, token, **how)
    return str(refused.value)


# ---- as the real server does ----


def test_a_key_has_the_name_that_the_real_server_gives_it(ours: SigningKey) -> None:
    assert ours.identity_key == IDENTITY_KEY


@pytest.mark.parametrize(
    ("path", "now_s", "key", "expected"),
    [
        ("/discover", NOW - 1, None, DISCOVER),
        (PATH, NOW, None, INVOKE),
        ("/invoke/Cart/add", NOW, "my key/ü", INVOKE_KEYED),
    ],
)
def test_tokens_are_those_of_the_real_server_byte_for_byte(
    ours: SigningKey, path: str, now_s: int, key: str | None, expected: str
) -> None:
    assert ours.headers(path, now_s, key) == [(SCHEME_HEADER, "v1"), (TOKEN_HEADER, HEAD + expected)]
    assert check(Verifier([IDENTITY_KEY]), HEAD + expected, path=path, now_s=now_s, key=key) == key


@given(st.binary(min_size=32, max_size=32))
@example(bytes(32))
@example(bytes(31) + b"\1")
@example(b"\xff" * 32)
def test_every_key_survives_its_written_form(seed: bytes) -> None:
    key = SigningKey(Ed25519PrivateKey.from_private_bytes(seed))
    check(Verifier([key.identity_key]), key.token(PATH, NOW))
    assert SigningKey.from_pem(key.to_pem()).identity_key == key.identity_key


@given(path=st.text(), key=st.none() | st.text(), now_s=st.integers(0, 2**40))
def test_what_is_signed_is_taken(path: str, key: str | None, now_s: int) -> None:
    ours = SigningKey.from_pem(PEM)
    token = ours.token(path, now_s, key)
    assert check(Verifier([IDENTITY_KEY]), token, path=path, now_s=now_s, key=key) == key


def test_tokens_of_a_second_are_made_once_and_no_longer_kept(ours: SigningKey) -> None:
    assert ours.token(PATH, NOW) is ours.token(PATH, NOW)
    assert ours.token(PATH, NOW, "a") != ours.token(PATH, NOW, "b") != ours.token(PATH, NOW)
    assert ours.token(PATH, NOW + 1) != ours.token(PATH, NOW)


def test_any_of_several_keys_will_do(ours: SigningKey) -> None:
    other = SigningKey.new()
    both = Verifier([other.identity_key, ours.identity_key])
    for key in (ours, other):
        check(both, key.token(PATH, NOW))


# ---- time and path ----


def test_a_token_is_valid_for_a_minute_before_and_after_and_not_a_second_more(
    ours: SigningKey, verifier: Verifier
) -> None:
    token = ours.token(PATH, NOW)
    for now_s in (NOW - 60, NOW, NOW + 60):
        check(verifier, token, now_s=now_s)
    assert "expired 1 s ago" in refusal(verifier, token, now_s=NOW + 61)
    assert "begins to be valid in 1 s" in refusal(verifier, token, now_s=NOW - 61)


def test_a_token_that_was_good_once_still_expires(ours: SigningKey, verifier: Verifier) -> None:
    token = ours.token(PATH, NOW)
    check(verifier, token)
    assert "expired" in refusal(verifier, token, now_s=NOW + 3600)
    assert "was signed for" in refusal(verifier, token, path="/discover")


@pytest.mark.parametrize("path", ["/discover", "/invoke/Greeter/other", "/invoke/Other/echo", f"/prefix{PATH}"])
def test_a_token_is_for_one_path(ours: SigningKey, verifier: Verifier, path: str) -> None:
    assert f"was signed for {PATH!r}" in refusal(verifier, ours.token(PATH, NOW), path=path)


# ---- the object's key ----


@given(key=st.text(), other=st.text())
@example("", "ann")
@example("ann", "")
@example("a%2Fb", "a/b")
@example("é", "e\u0301")
def test_a_token_is_for_one_key(key: str, other: str) -> None:
    token, verifier = SigningKey.from_pem(PEM).token(PATH, NOW, key), Verifier([IDENTITY_KEY])
    assert check(verifier, token, key=key) == key
    if key != other:
        assert "was signed for the key" in refusal(verifier, token, key=other)


def test_a_token_says_its_key_where_the_request_names_none(ours: SigningKey, verifier: Verifier) -> None:
    assert check(verifier, ours.token(PATH, NOW, "ann")) == "ann"
    assert check(verifier, ours.token(PATH, NOW), key="ann") is None


# ---- who signed ----


@pytest.mark.parametrize("scheme", [None, "unsigned", "v2", ""])
def test_the_scheme_must_be_known(ours: SigningKey, verifier: Verifier, scheme: str | None) -> None:
    headers = {TOKEN_HEADER: ours.token(PATH, NOW)} | ({} if scheme is None else {SCHEME_HEADER: scheme})
    said = "is not signed" if scheme in (None, "unsigned") else f"is {scheme!r}"
    with pytest.raises(Unauthenticated, match=said):
        verifier.check(headers, PATH, NOW)


def test_the_token_must_be_there(verifier: Verifier) -> None:
    with pytest.raises(Unauthenticated, match="has no x-restate-jwt-v1"):
        verifier.check({SCHEME_HEADER: "v1"}, PATH, NOW)


def test_a_stranger_is_refused_and_named(verifier: Verifier) -> None:
    stranger = SigningKey.new()
    assert repr(stranger.identity_key) in refusal(verifier, stranger.token(PATH, NOW))


def test_a_stranger_who_gives_a_known_name_is_refused(ours: SigningKey, verifier: Verifier) -> None:
    head = {"typ": "JWT", "alg": "EdDSA", "kid": ours.identity_key}
    assert "not signed by an engine" in refusal(verifier, signed(SigningKey.new(), claims(), head))


def test_another_name_in_a_good_token_does_not_count(ours: SigningKey, verifier: Verifier) -> None:
    check(verifier, signed(ours, claims(), {"typ": "JWT", "alg": "EdDSA", "kid": "another"}))


def test_a_good_signature_over_something_else_is_refused(ours: SigningKey, verifier: Verifier) -> None:
    head, _, seal = ours.token(PATH, NOW).split(".")
    assert "not signed by" in refusal(verifier, f"{head}.{base64_json(claims(exp=NOW + 10**6))}.{seal}")


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256", "RS256", "ES256", "Ed25519", "eddsa", ""])
def test_no_other_algorithm_is_taken_not_even_over_a_good_signature(
    ours: SigningKey, verifier: Verifier, algorithm: str
) -> None:
    text = f"{base64_json({'typ': 'JWT', 'alg': algorithm})}.{base64_json(claims())}"
    assert "algorithm is" in refusal(verifier, f"{text}.")
    assert "algorithm is" in refusal(verifier, signed(ours, claims(), {"typ": "JWT", "alg": algorithm}))


def test_the_public_key_is_no_secret_to_sign_with(ours: SigningKey, verifier: Verifier) -> None:
    public = ours._private_key.public_key()  # pyright: ignore[reportPrivateUsage]
    for secret in (
        public.public_bytes(Encoding.Raw, PublicFormat.Raw),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        ours.identity_key.encode(),
    ):
        for algorithm in ("HS256", "EdDSA"):
            text = f"{base64_json({'typ': 'JWT', 'alg': algorithm})}.{base64_json(claims())}"
            refusal(verifier, f"{text}.{base64(hmac.new(secret, text.encode(), hashlib.sha256).digest())}")


# ---- what is no token ----


@pytest.mark.parametrize(
    "token",
    [
        "", ".", "..", "...", "a.b.c", "a.b", "Bearer x.y.z", "\xff.\xff.\xff", "e30.e30.e30", "bnVsbA.bnVsbA.AA",
        f"{base64(b'[' * 100_000)}.e30.AA", f"{base64_json({'alg': 1})}.e30.AA", f"{base64_json({'alg': None})}.e30.AA",
        HEAD + DISCOVER + "=", HEAD + DISCOVER + "\n", " " + HEAD + DISCOVER, HEAD + DISCOVER + ".AA",
    ],
)  # fmt: skip
def test_what_is_no_token_is_said_to_be_none(verifier: Verifier, token: str) -> None:
    assert "is no JSON web token" in refusal(verifier, token, path="/discover")


@pytest.mark.parametrize(
    "wrong",
    [
        claims(exp=None), claims(nbf=None), claims(iat=None), claims(aud=None), claims(exp="never"),
        claims(exp=float("inf")), claims(aud=[PATH, 1]), claims(aud={}), claims(nbf=[]), claims(sub=1),
        claims(sub=["a"]), [], "text", None, 1,
    ],
)  # fmt: skip
def test_a_known_key_does_not_excuse_wrong_claims(ours: SigningKey, verifier: Verifier, wrong: Any) -> None:
    assert "claims are not those of a request" in refusal(verifier, signed(ours, wrong))


@given(st.data())
def test_nothing_but_the_token_itself_is_taken(data: st.DataObject) -> None:
    """Whatever is changed, added or left out, it is refused, and with the one error."""
    good = HEAD + INVOKE
    at = data.draw(st.integers(0, len(good)))
    until = data.draw(st.integers(at, min(len(good), at + 3)))
    spoilt = good[:at] + data.draw(st.text(st.characters(max_codepoint=255), max_size=3)) + good[until:]
    if spoilt != good:
        refusal(Verifier([IDENTITY_KEY]), spoilt)


@given(st.text(st.characters(max_codepoint=255)), st.text(st.characters(max_codepoint=255)))
def test_garbage_is_refused_with_the_one_error(scheme: str, token: str) -> None:
    for value in (scheme, "v1"):
        with pytest.raises(Unauthenticated):
            Verifier([IDENTITY_KEY]).check({SCHEME_HEADER: value, TOKEN_HEADER: token}, PATH, NOW)


# A JSON value, where a token has an object.
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(), st.lists)


@given(head=JSON, said=st.dictionaries(st.sampled_from(["aud", "exp", "iat", "nbf", "sub"]), JSON))
def test_any_json_in_a_signed_token_is_taken_or_refused(head: Any, said: dict[str, Any]) -> None:
    ours, verifier = SigningKey.from_pem(PEM), Verifier([IDENTITY_KEY])
    refusal(verifier, signed(ours, claims(), {"alg": head}))
    with suppress(Unauthenticated):
        check(verifier, signed(ours, claims() | said))


def test_a_flood_of_good_tokens_takes_no_memory_for_ever(ours: SigningKey, verifier: Verifier) -> None:
    for number in range(1500):
        check(verifier, ours.token(PATH, NOW, str(number)))
    assert len(verifier._verified) <= 1024  # pyright: ignore[reportPrivateUsage]


# ---- keys ----


@pytest.mark.parametrize(
    "text",
    [
        "", "publickeyv1_", IDENTITY_KEY[:-2], IDENTITY_KEY + "1", IDENTITY_KEY.removeprefix("publickeyv1_"),
        IDENTITY_KEY.replace("v1", "v2"), IDENTITY_KEY.replace("G", "0"), f" {IDENTITY_KEY}",
        "publickeyv1_" + "1" * 31, "publickeyv1_" + "z" * 44, "publickeyv1_" + "z" * 10_000, "publickeyv1_é",
    ],
)  # fmt: skip
def test_what_is_no_identity_key_is_refused_at_once(text: str) -> None:
    with pytest.raises(UsageError, match="is no identity key"):
        Verifier([text])


@pytest.mark.parametrize("raw", SMALL_ORDER, ids=bytes.hex)
def test_a_key_that_anybody_can_sign_for_is_refused(raw: bytes) -> None:
    with pytest.raises(UsageError, match="a number for which anybody can sign: a placeholder"):
        Verifier([identity_key_of(raw)])


def test_such_keys_take_forgeries() -> None:
    """Which is why they are refused. OpenSSL does not read all of their forms; other libraries may."""
    assert len(SMALL_ORDER) == len(set(SMALL_ORDER)) == 14
    texts = [f"{number}".encode() for number in range(100)]
    forged = [raw for raw in SMALL_ORDER if any(forged_over(raw, text) for text in texts)]
    assert len(forged) >= 8
    assert identity_key_of(bytes(32)) == "publickeyv1_" + "1" * 32
    assert bytes(32) in forged


def test_a_private_key_among_the_identity_keys_is_not_repeated() -> None:
    with pytest.raises(UsageError, match="perdure identity show") as refused:
        Verifier([PEM.decode()])
    assert "MC4CAQ" not in str(refused.value)


def pem_of(key: Any, password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def public_pem() -> bytes:
    public = Ed25519PrivateKey.generate().public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


NO_KEYS = {
    "empty": (b"", "no private key that we know"),
    "garbage": (bytes(range(256)), "no private key that we know"),
    "der": (urlsafe_b64decode("MC4CAQAwBQYDK2VwBCIEIPEuE2pGMiTiQpAsEuD63X9SO13Sbe9pOF0HG-V-Z4JG"), "no private key"),
    "cut": (PEM[:70], "no private key"),
    "public": (public_pem(), "the public key, not the private one"),
    "two": (PEM + PEM, "holds 2 keys"),
    "encrypted": (pem_of(Ed25519PrivateKey.generate(), b"secret"), "is encrypted"),
    "rsa": (pem_of(rsa.generate_private_key(65537, 2048)), r"another kind \(RSA\)"),
    "elliptic": (pem_of(ec.generate_private_key(ec.SECP256R1())), "another kind"),
}


@pytest.mark.parametrize("name", NO_KEYS)
def test_what_is_no_key_to_sign_with_is_said_to_be_something_else(name: str) -> None:
    pem, said = NO_KEYS[name]
    with pytest.raises(UsageError, match=said):
        SigningKey.from_pem(pem)


def test_text_around_the_key_is_no_matter() -> None:
    assert SigningKey.from_pem(b"# of production\n" + PEM + b"\n# end\n").identity_key == IDENTITY_KEY
