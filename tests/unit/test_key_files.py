"""Key files: only their owner reads them, and none is ever overwritten."""

import errno
import os
import resource
import stat
from pathlib import Path

import pytest

from perdure.engine.config import EngineConfig
from perdure.engine.engine import Engine
from perdure.errors import UsageError
from perdure.key_files import read_key, write_new_key


def test_a_new_key_is_its_owners_alone_and_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    before = os.umask(0)
    try:
        made = write_new_key(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key(path).identity_key == made.identity_key


def test_what_is_there_is_not_overwritten_not_even_through_a_link(tmp_path: Path) -> None:
    path, link = tmp_path / "key.pem", tmp_path / "link.pem"
    write_new_key(path)
    kept = path.read_bytes()
    link.symlink_to(path)
    for each in (path, link):
        with pytest.raises(UsageError, match="exists, and is not overwritten"):
            write_new_key(each)
    assert path.read_bytes() == kept


def test_a_key_that_does_not_fit_on_the_disk_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, hard))
    try:
        with pytest.raises(UsageError, match=r"key\.pem cannot be written: file too large"):
            write_new_key(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not path.exists()
    assert write_new_key(path).identity_key == read_key(path).identity_key


def test_a_key_that_the_disk_did_not_take_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(file: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(UsageError, match=r"key\.pem cannot be written: input/output error"):
        write_new_key(tmp_path / "key.pem")
    assert not (tmp_path / "key.pem").exists()


def test_a_file_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no key file .*missing.pem: `perdure identity new"):
        read_key(tmp_path / "missing.pem")
    with pytest.raises(UsageError, match="cannot be read: is a directory"):
        read_key(tmp_path)
    with pytest.raises(UsageError, match="cannot be written: no such file or directory"):
        write_new_key(tmp_path / "nowhere" / "key.pem")
    (tmp_path / "text.pem").write_text("hello")
    with pytest.raises(UsageError, match=r"the key file .*text.pem holds no private key"):
        read_key(tmp_path / "text.pem")


def test_an_engine_reads_its_key_before_anything_else(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    assert Engine(EngineConfig(request_identity_key=None)).identity_key is None
    with pytest.raises(UsageError, match="no key file"):
        Engine(EngineConfig(data_dir=tmp_path / "data", request_identity_key=path))
    assert not (tmp_path / "data").exists()
    made = write_new_key(path)
    assert Engine(EngineConfig(request_identity_key=path)).identity_key == made.identity_key
