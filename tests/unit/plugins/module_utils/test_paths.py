# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are replaced in one step."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.paths import (
    Paths,
    read_json,
    remove_file,
    sync_file,
    write_file,
)


def test_every_path_of_a_store_is_below_its_folder(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "etc", tmp_path / "var", tmp_path / "run")
    assert paths.settings("mysql") == tmp_path / "etc" / "stores" / "mysql.json"
    assert paths.pointer("mysql") == tmp_path / "var" / "pointers" / "mysql"
    assert paths.flip("mysql") == tmp_path / "var" / "mysql" / "flip.json"
    assert paths.progress("mysql", "cutover") != paths.request("mysql", "cutover")


def test_a_secret_is_never_readable_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []
    replace = os.replace

    def look(source: str, target: Path) -> None:
        modes.append(os.stat(source).st_mode & 0o777)
        replace(source, target)

    monkeypatch.setattr(os, "replace", look)
    old = os.umask(0)
    try:
        write_file(tmp_path / "mysql.json", "secret")
    finally:
        os.umask(old)
    assert modes == [0o600]


def test_a_reader_finds_the_old_text_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "pointer"
    write_file(path, "old", mode=0o644)
    with open(path, encoding="utf-8") as reader:
        write_file(path, "new", mode=0o644)
        assert reader.read() == "old"
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o644


def test_what_fails_leaves_the_old_text_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pointer"
    write_file(path, "old")

    def fail(source: str, target: Path) -> None:
        raise OSError("no room")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no room"):
        write_file(path, "new")
    assert [each.name for each in tmp_path.iterdir()] == ["pointer"]
    assert path.read_text() == "old"


def test_durable_puts_content_then_name_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        order.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "content")
        fsync(handle)

    def replaced(source: str, target: Path) -> None:
        order.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    write_file(tmp_path / "pointer", "mysql cluster\n", durable=True)
    assert order == ["content", "name", "folder"]
    order.clear()
    sync_file(tmp_path / "pointer")
    assert order == ["content", "folder"]
    order.clear()
    remove_file(tmp_path / "pointer")
    assert order == ["folder"]
    assert not (tmp_path / "pointer").exists()


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    remove_file(tmp_path / "nothing" / "here")


def test_json_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert read_json(tmp_path / "none.json") is None
    (tmp_path / "half.json").write_text('{"a":')
    with pytest.raises(ValueError, match="Expecting value"):
        read_json(tmp_path / "half.json")
