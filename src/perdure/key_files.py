"""Files of private keys, which engines sign requests with: read, and made."""

import os
from pathlib import Path

from perdure.errors import UsageError
from perdure.protocol.identity import SigningKey


def read_key(path: Path) -> SigningKey:
    """Raises `UsageError`: no such file, or it holds no key to sign with; the message says what to do."""
    try:
        pem = path.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(f"there is no key file {path}: `perdure identity new {path}` makes one") from error
    except OSError as error:
        raise UsageError(f"the key file {path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    try:
        return SigningKey.from_pem(pem)
    except UsageError as error:
        raise UsageError(f"the key file {path} {error}") from error


def write_new_key(path: Path) -> SigningKey:
    """A new key, in a file that only its owner may read: whole and on disk, or not there.

    Raises `UsageError` where there is a file already, or none can be written.
    """
    key = SigningKey.new()
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(file, "wb") as out:
                out.write(key.to_pem())
                out.flush()
                os.fsync(file)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    except FileExistsError as error:
        raise UsageError(
            f"{path} exists, and is not overwritten, as services may trust the key in it: choose another name"
        ) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from error
    return key
