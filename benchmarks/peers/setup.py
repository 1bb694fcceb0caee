"""Installs the peers once, under .cache/peers: a virtual environment from PyPI, restate-server from npm."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PEERS = HERE.parent.parent / ".cache" / "peers"
PYTHON = PEERS / "venv" / "bin" / "python"
RESTATE_SERVER = PEERS / "node_modules" / ".bin" / "restate-server"

WANTED = ("requirements.txt", "package.json", "package-lock.json")
STAMP = PEERS / "installed"


def install() -> None:
    """Install what is missing or has changed; at once done when nothing has."""
    wanted = "".join((HERE / name).read_text() for name in WANTED)
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    print(f"installing the peers into {PEERS}, once", file=sys.stderr)
    PEERS.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        (PEERS / name).write_text((HERE / name).read_text())
    subprocess.run([sys.executable, "-m", "venv", PEERS / "venv"], check=True)
    subprocess.run([PYTHON, "-m", "pip", "install", "-qq", "-r", HERE / "requirements.txt"], check=True)
    subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=PEERS, check=True)
    STAMP.write_text(wanted)
