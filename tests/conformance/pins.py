"""The versions of the peers. `package.json` beside this file pins them all, those of PyPI too.

As a command it prints the latter, as requirements.
"""

import json
from pathlib import Path

_PACKAGES = json.loads(Path(__file__).with_name("package.json").read_text())
NPM: dict[str, str] = _PACKAGES["dependencies"]
PYPI: dict[str, str] = _PACKAGES["pythonDependencies"]

if __name__ == "__main__":
    print("\n".join(f"{name}=={version}" for name, version in PYPI.items()))  # noqa: T201
