"""Points of small order on the curve of ed25519, computed, and signatures that fit them and that nobody made."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from perdure.protocol import identity

PRIME = 2**255 - 19
D = -121665 * pow(121666, -1, PRIME) % PRIME
NEUTRAL = (1).to_bytes(32, "little")


def _of_order_8() -> list[int]:
    """The second coordinates of points whose double has 0 there: x^2 + y^2 = 0, so D y^4 + 2 y^2 - 1 = 0."""
    root = _square_root(1 + D)
    squares = [(sign * root - 1) * pow(D, -1, PRIME) % PRIME for sign in (1, -1)]
    roots = [_square_root(square) for square in squares if pow(square, (PRIME - 1) // 2, PRIME) == 1]
    return [y for root in roots for y in (root, PRIME - root)]


def _square_root(square: int) -> int:
    root = pow(square, (PRIME + 3) // 8, PRIME)
    if root * root % PRIME != square % PRIME:
        root = root * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    assert root * root % PRIME == square % PRIME
    return root


SMALL_ORDER = [
    (y + sign).to_bytes(32, "little")
    for y in (0, 1, PRIME - 1, PRIME, PRIME + 1, *_of_order_8())
    for sign in (0, 2**255)
]


def identity_key_of(raw: bytes) -> str:
    return "publickeyv1_" + identity._base58(raw)  # pyright: ignore[reportPrivateUsage]


def forged_over(raw: bytes, text: bytes) -> bool:
    """Whether a signature that is the same for all texts, and all such keys, fits."""
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(NEUTRAL + bytes(32), text)
    except InvalidSignature:
        return False
    return True
