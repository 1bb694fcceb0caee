"""Installs the peers once, under .cache: a virtual environment from PyPI; restate-server from npm, as the tests do."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
ENVIRONMENT = REPOSITORY / ".cache" / "benchmark-peers"
PYTHON = ENVIRONMENT / "bin" / "python"
NPM = REPOSITORY / ".cache" / "npm"
RESTATE_SERVER = NPM / "node_modules" / ".bin" / "restate-server"


def install() -> None:
    """Install what is missing or has changed; at once done when nothing has."""
    requirements, stamp = HERE / "requirements.txt", ENVIRONMENT / "installed"
    if not stamp.exists() or stamp.read_text() != requirements.read_text():
        print(f"installing the peers into {ENVIRONMENT}, once", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True)
        subprocess.run([PYTHON, "-m", "pip", "install", "-qq", "-r", requirements], check=True)
        stamp.write_text(requirements.read_text())
    if not RESTATE_SERVER.exists():
        subprocess.run(["make", ".cache/npm/.installed"], cwd=REPOSITORY, check=True)
