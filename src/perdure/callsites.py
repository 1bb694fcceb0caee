"""Whose code a line is: the user's, a library's, or ours. A leaf, for messages that name file and line."""

import functools
import os
from pathlib import Path

_OURS = str(Path(__file__).parent) + os.sep
_STANDARD_LIBRARY = str(Path(os.__file__).parent) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


@functools.lru_cache(maxsize=4096)
def is_user_code(filename: str) -> bool:
    """Whether a frame of this file was written by the user, as far as its path tells."""
    return not (is_runtime_code(filename) or any(part in filename for part in _INSTALLED))


@functools.lru_cache(maxsize=4096)
def is_runtime_code(filename: str) -> bool:
    """Whether a frame of this file belongs to perdure, Python itself, or to no file at all."""
    return filename.startswith(("<", _OURS)) or (
        filename.startswith(_STANDARD_LIBRARY) and not any(part in filename for part in _INSTALLED)
    )


def shown_path(filename: str) -> str:
    """A path as one reads it best: from the current folder where it lies in there."""
    try:
        relative = os.path.relpath(filename)
    except (OSError, ValueError):  # the current folder is gone; another drive
        return filename
    return filename if relative.startswith(os.pardir) else relative
