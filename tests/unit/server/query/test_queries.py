"""What is said of a query's process that ended before it answered."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from perdure.engine.engine import Engine
from perdure.server.query.problems import BadQuery, QueryFailed
from perdure.server.query.queries import Queries

ENGINE = cast("Engine", SimpleNamespace(introspection=SimpleNamespace(store="no.db")))


def python(folder: Path, script: str) -> str:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("script", "kind", "said"),
    [
        ("exit 3", QueryFailed, "exit code 3"),
        ("kill -9 $$", BadQuery, r"SIGKILL.*too little memory"),
        ("kill -ABRT $$", BadQuery, r"SIGABRT.*too little memory"),
        ("kill -40 $$", BadQuery, r"signal 40.*too little memory"),
    ],
)
async def test_how_it_ended_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, kind: type[Exception], said: str
) -> None:
    monkeypatch.setattr(sys, "executable", python(tmp_path, script))
    with pytest.raises(kind, match=said):
        await Queries(ENGINE, lambda: 0).run("select 1", as_json=True)
