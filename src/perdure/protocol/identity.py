"""Request identity: an engine signs what it asks of services, and services take nothing else.

    x-restate-signature-scheme: v1
    x-restate-jwt-v1: <JWT>    {"typ":"JWT","alg":"EdDSA","kid":"publickeyv1_..."}
                               {"aud":"/invoke/Cart/add","exp":...,"iat":...,"nbf":...,"sub":"the key, if it has one"}

The token is for one path (without what a deployment's address has in front of it) and one object's key, for a minute
before and after it was made; of the body it says nothing. An engine's key is written `publickeyv1_` and the base58 of
its 32 bytes.

One form and one algorithm: that is less code than a JWT library needs to be told to take no other, and it is given the
time. Pure. Source of facts: service protocol, section "Request identity".
"""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from msgspec import Struct

from perdure.errors import Unauthenticated, UsageError

SCHEME_HEADER = "x-restate-signature-scheme"
TOKEN_HEADER = "x-restate-jwt-v1"

_SCHEME = "v1"
_ALGORITHM = "EdDSA"
_VALIDITY_S = 60
_PREFIX = "publickeyv1_"
_KEY_BYTES = 32
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
# Points of small order, for which whoever knows nothing can make signatures that fit: their second coordinate, with or
# without the sign of the first; 0 and 1 can be written as the prime and the number after it, too.
_PRIME = 2**255 - 19
_OF_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER = frozenset({0, 1, _PRIME - 1, _PRIME, _PRIME + 1, _OF_ORDER_8, _PRIME - _OF_ORDER_8})
_TOKENS_MAX = 1024
_SHOWN = 80  # characters of what a stranger sent

Headers: TypeAlias = list[tuple[str, str]]


class _Head(Struct):
    """The head of a token, as far as it is read. Not to be trusted: nothing of it is verified yet."""

    alg: str
    kid: str = ""


class _Claims(Struct):
    """The claims of a token, as far as they are read, which is after its signature was verified."""

    aud: str
    exp: float
    iat: float
    nbf: float
    sub: str | None = None


_HEADS = msgspec.json.Decoder(_Head)
_CLAIMS = msgspec.json.Decoder(_Claims)


class SigningKey:
    """A private key, and what an engine does with it."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        raw = private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.identity_key = _PREFIX + _base58(raw)
        """The public key, as services are told it."""
        self._head = _json({"typ": "JWT", "alg": _ALGORITHM, "kid": self.identity_key})
        self._tokens: dict[tuple[str, str | None], str] = {}
        self._tokens_of = 0

    @classmethod
    def new(cls) -> "SigningKey":
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: bytes) -> "SigningKey":
        """The one private key in a PEM file, in PKCS#8, as `openssl genpkey -algorithm ed25519` writes it.

        Raises:
            UsageError: it is something else; the message goes on after the name of a file.
        """
        found = pem.count(b"-----BEGIN ")
        if found > 1:
            raise UsageError(f"holds {found} keys or certificates: leave in it the one private key to sign with")
        try:
            key = load_pem_private_key(pem, password=None)
        except TypeError as error:
            raise UsageError(
                "is encrypted, and an engine has nobody to ask for the passphrase: "
                "`openssl pkey -in FILE -out PLAIN` decrypts it"
            ) from error
        except (ValueError, UnsupportedAlgorithm) as error:
            what = (
                "the public key, not the private one" if b"BEGIN PUBLIC KEY" in pem else "no private key that we know"
            )
            raise UsageError(
                f"holds {what}: a PEM file is wanted that begins with -----BEGIN PRIVATE KEY-----, "
                "such as `perdure identity new` makes"
            ) from error
        if not isinstance(key, Ed25519PrivateKey):
            kind = type(key).__name__.strip("_").removesuffix("PrivateKey")
            raise UsageError(
                f"holds a key of another kind ({kind}), and requests are signed with ed25519: "
                "`perdure identity new` makes such a key"
            )
        return cls(key)

    def to_pem(self) -> bytes:
        return self._private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def headers(self, path: str, now_s: int, key: str | None = None) -> Headers:
        """What a request to `path` carries, for the object `key` if it is for one."""
        return [(SCHEME_HEADER, _SCHEME), (TOKEN_HEADER, self.token(path, now_s, key))]

    def token(self, path: str, now_s: int, key: str | None = None) -> str:
        if now_s != self._tokens_of:
            self._tokens.clear()
            self._tokens_of = now_s
        token = self._tokens.get((path, key))
        if token is None:
            claims = {"aud": path, "exp": now_s + _VALIDITY_S, "iat": now_s, "nbf": now_s - _VALIDITY_S}
            signed = f"{self._head}.{_json(claims if key is None else claims | {'sub': key})}"
            token = f"{signed}.{_base64(self._private_key.sign(signed.encode()))}"
            self._tokens[path, key] = token
        return token


class Verifier:
    """Knows the engines of one service by their public keys."""

    def __init__(self, identity_keys: Iterable[str]) -> None:
        """Raises `UsageError` for what is no key."""
        self._keys = [_public_key(text) for text in identity_keys]
        # An engine makes the same token for all requests of a second to one path: what costs 0.1 ms is done for one.
        self._verified: dict[str, _Claims] = {}

    def check(self, headers: Mapping[str, str], path: str, now_s: int, key: str | None = None) -> str | None:
        """The object's key for which the request was signed, if the token names one.

        `key` is the one that the request itself names, if it does. Raises `Unauthenticated`, with the reason, unless
        the request comes from an engine that is known, and was signed for this path and key.
        """
        scheme, token = headers.get(SCHEME_HEADER), headers.get(TOKEN_HEADER)
        if scheme is None or scheme == "unsigned":
            raise Unauthenticated(
                "the request is not signed, and this service takes only what an engine that it knows has signed "
                "(request identity)"
            )
        if scheme != _SCHEME:
            raise Unauthenticated(f"{SCHEME_HEADER} is {_shown(scheme)}; {_SCHEME!r} is all that is known here")
        if token is None:
            raise Unauthenticated(f"the request has no {TOKEN_HEADER}, in which its signature is")
        claims = self._verified.get(token)
        if claims is None:
            claims = self._verify(token)
        if claims.aud != path:
            raise Unauthenticated(f"the request is for {path}, and was signed for {_shown(claims.aud)}")
        if claims.exp < now_s:
            raise Unauthenticated(
                f"the signature expired {now_s - claims.exp:.0f} s ago: was it made long ago, or is one clock wrong?"
            )
        if claims.nbf > now_s:
            raise Unauthenticated(
                f"the signature begins to be valid in {claims.nbf - now_s:.0f} s: the clock of the engine is ahead of "
                "this one"
            )
        if key is not None and claims.sub is not None and claims.sub != key:
            raise Unauthenticated(
                f"the request is for the key {_shown(key)}, and was signed for the key {_shown(claims.sub)}"
            )
        return claims.sub

    def _verify(self, token: str) -> _Claims:
        """What a token claims, once it is sure who made it; before, nothing of it counts but its form."""
        try:
            signed, _, signature = token.rpartition(".")
            head_part, claims_part = signed.split(".")
            head = _HEADS.decode(_from_base64(head_part))
            sealed, seal = signed.encode("ascii"), _from_base64(signature)
        except (ValueError, RecursionError, msgspec.MsgspecError) as error:
            raise Unauthenticated(f"what is in {TOKEN_HEADER} is no JSON web token") from error
        if head.alg != _ALGORITHM:
            raise Unauthenticated(f"the token's algorithm is {_shown(head.alg)}; only {_ALGORITHM} is taken")
        if not any(_fits(key, seal, sealed) for key in self._keys):
            raise Unauthenticated(
                f"the request is not signed by an engine that this service knows. The key that it names is "
                f"{_shown(head.kid)}: if that is yours, add it to the service's identity keys"
            )
        try:
            claims = _CLAIMS.decode(_from_base64(claims_part))
        except (ValueError, RecursionError, msgspec.MsgspecError) as error:
            raise Unauthenticated(f"the token's claims are not those of a request: {error}") from error
        if len(self._verified) >= _TOKENS_MAX:
            self._verified.clear()
        self._verified[token] = claims
        return claims


def _public_key(text: str) -> Ed25519PublicKey:
    if "PRIVATE KEY" in text:
        raise UsageError(
            "an identity key is a private key, which is the engine's alone: `perdure identity show` prints the public "
            "key that services are given"
        )
    raw = _from_base58(text.removeprefix(_PREFIX))
    if not text.startswith(_PREFIX) or raw is None:
        raise UsageError(
            f"{_shown(text)} is no identity key: that is {_PREFIX} and 43 or 44 letters and digits, as "
            "`perdure identity show` and the engine's start print it"
        )
    if int.from_bytes(raw, "little") % 2**255 in _SMALL_ORDER:
        raise UsageError(
            f"{_shown(text)} is no identity key, but a number for which anybody can sign: a placeholder? "
            "`perdure identity show` prints the engine's"
        )
    return Ed25519PublicKey.from_public_bytes(raw)


def _fits(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _base58(raw: bytes) -> str:
    number = int.from_bytes(raw)
    digits = ""
    while number:
        number, digit = divmod(number, 58)
        digits = _ALPHABET[digit] + digits
    return _ALPHABET[0] * (len(raw) - len(raw.lstrip(b"\0"))) + digits


def _from_base58(text: str) -> bytes | None:
    """The bytes of a key; None where it is none."""
    if len(text) > 2 * _KEY_BYTES or set(text) - set(_ALPHABET):
        return None
    number = 0
    for letter in text:
        number = number * 58 + _ALPHABET.index(letter)
    zeros = len(text) - len(text.lstrip(_ALPHABET[0]))
    raw = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)
    return raw if len(raw) == _KEY_BYTES else None


def _json(part: Mapping[str, str | int]) -> str:
    return _base64(msgspec.json.encode(part))


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _from_base64(text: str) -> bytes:
    """Raises `ValueError` unless it is just as `_base64` writes it."""
    raw = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _base64(raw) != text:
        raise ValueError("not the one way to write it")
    return raw


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
