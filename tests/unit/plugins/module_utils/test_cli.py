# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command of the app server."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import cli, stage
from ansible_collections.tutorops.scale.plugins.module_utils.flip_marker import FlipMarker, process_started
from stage_world import FileStore, build


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileStore:
    """A store at rest that the command finds as it would find a real one."""
    made = build(tmp_path)
    original = stage.Runner.__init__

    def init(runner: stage.Runner, *words: object, **options: object) -> None:
        original(runner, *words, **{"open_store": lambda name, paths: made, **options})  # type: ignore[arg-type]

    monkeypatch.setattr(stage.Runner, "__init__", init)
    monkeypatch.setattr(stage.Signals, "install", lambda self: None)
    return made


def test_a_unit_names_store_and_stage_in_one_word(store: FileStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["stage", "mysql:cutover"], store.paths) == 0
    assert json.loads(capsys.readouterr().out)["result"]["serving"] == "cluster"
    assert store.serving() == "cluster"


def test_a_stage_that_failed_is_a_failed_unit(store: FileStore) -> None:
    assert cli.main(["stage", "mysql", "commit"], store.paths) == 1


def test_a_postponed_flip_is_not(store: FileStore) -> None:
    store.paths.request("mysql", "cutover").write_text('{"attempts": 1}')
    store.local.set(busy=True)
    assert cli.main(["stage", "mysql:cutover"], store.paths) == 0


def test_by_hand_the_command_line_says_everything(store: FileStore) -> None:
    assert cli.main(["stage", "mysql", "cutover"], store.paths) == 0
    assert cli.main(["stage", "mysql", "rollback"], store.paths) == 0
    assert cli.main(["stage", "mysql", "cutover"], store.paths) == 1
    assert cli.main(["stage", "mysql", "cutover", "--again"], store.paths) == 0


def test_an_unknown_stage(store: FileStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["stage", "mysql:fly"], store.paths) == 1
    assert "name a stage of store mysql: one of plan, prepare, follow" in capsys.readouterr().err


def test_recover_takes_the_name_of_a_unit(store: FileStore, capsys: pytest.CaptureFixture[str]) -> None:
    FlipMarker("cutover", "local", "cluster", 0, "", 0.0).write(store.paths.flip("mysql"))
    assert cli.main(["recover", "mysql:cutover"], store.paths) == 0
    assert "is settled, the local end serves" in capsys.readouterr().out
    assert cli.main(["recover", "mysql"], store.paths) == 0
    assert capsys.readouterr().out == ""


def test_recover_all_finds_the_stores(store: FileStore, capsys: pytest.CaptureFixture[str]) -> None:
    FlipMarker("cutover", "local", "cluster", 0, "", 0.0).write(store.paths.flip("mysql"))
    assert cli.main(["recover", "--all"], store.paths) == 0
    assert "store mysql: the interrupted flip is settled" in capsys.readouterr().out


def test_recovery_that_fails_is_a_failed_unit(store: FileStore, capsys: pytest.CaptureFixture[str]) -> None:
    store.paths.flip("mysql").parent.mkdir()
    store.paths.flip("mysql").write_text("{}")
    store.paths.pointer("mysql").write_text("broken")
    assert cli.main(["recover", "--all", "--seconds", "0"], store.paths) == 1
    assert "cannot be settled yet" in capsys.readouterr().err


def test_status_tells_trouble_instead_of_failing(store: FileStore, capsys: pytest.CaptureFixture[str]) -> None:
    # No HAProxy runs here.
    assert cli.main(["status", "--json"], store.paths) == 0
    told = json.loads(capsys.readouterr().out)["mysql"]
    assert (told["pointer"], told["stage"], told["flip_under_way"]) == ("local", "following", False)
    assert "does not answer" in told["trouble"][0]
    assert cli.main(["status"], store.paths) == 0
    assert "mysql: served by the local end, stage following" in capsys.readouterr().out


def test_status_names_stages_that_run(store: FileStore, capsys: pytest.CaptureFixture[str]) -> None:
    for name, pid in (("follow", os.getpid()), ("compare", 2**30)):
        record = {"pid": pid, "process_started": process_started(pid), "ended": None}
        store.paths.progress("mysql", name).write_text(json.dumps(record))
    assert cli.main(["status", "--json"], store.paths) == 0
    assert json.loads(capsys.readouterr().out)["mysql"]["running"] == ["follow"]


def test_a_host_without_an_edge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = build(tmp_path)
    store.paths.edge.unlink()
    assert cli.main(["status"], store.paths) == 1
    assert "edge.json is missing on the app server: run offload.yml" in capsys.readouterr().err
