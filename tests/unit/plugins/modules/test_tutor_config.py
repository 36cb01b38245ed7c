# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traps of the real Tutor: settings. One test for each, for Tutor 18, 20 and 22."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ansible_collections
import pytest

pytestmark = pytest.mark.tutor_cli

Run = Callable[..., dict[str, Any]]

TYPED = {
    "A_INT": 81,
    "A_QUOTED_INT": "3307",
    "A_TRUE": True,
    "A_TEXT_TRUE": "true",
    "A_YES": "yes",
    "A_OCTAL": "010",
    "A_VERSION": "1.10",
    "A_FLOAT": 1.5,
    "A_DATE": "2024-01-01",
    "A_NULL": None,
    "A_TEXT_NULL": "null",
    "A_EMPTY": "",
    "A_LIST": ["a", {"k": [1, True, None]}],
    "A_MAPPING": {"k": {"nested": "x: y"}},
    "A_COMMENT": "abc #def",
    "A_HASH": "#abc",
    "A_ANCHOR": "&x",
    "A_ALIAS": "*x",
    "A_TAG": "!x",
    "A_AT": "@x",
    "A_PERCENT": "%x",
    "A_BRACKET": "[a",
    "A_COLON": "a: b",
    "A_UNICODE": "pässwörd ☃",
    "A_SPACES": "  around  ",
    "A_CLOSING": "a}}b%}c",
    "A_LINES": "first\nsecond\n\n third",
}
PASSWORD = "p@ss/w:ör'd\"$(id)`x`\\n #&*!|>%~{}[],=?- ;<"


def test_values_of_every_type_arrive_intact_and_a_second_run_writes_nothing(lab: Any, run_module: Run) -> None:
    answer = run_module("tutor_config", **lab.options(set=TYPED, secrets={"MYSQL_ROOT_PASSWORD": PASSWORD}))
    assert answer.get("changed") is True, answer
    config = lab.config()
    for name, value in {**TYPED, "MYSQL_ROOT_PASSWORD": PASSWORD}.items():
        assert config[name] == value and type(config[name]) is type(value), name
    before = lab.snapshot()
    again = run_module("tutor_config", **lab.options(set=TYPED, secrets={"MYSQL_ROOT_PASSWORD": PASSWORD}))
    assert again["changed"] is False
    assert lab.snapshot() == before
    assert lab.tutor().values(["A_OCTAL", "A_TEXT_TRUE", "MYSQL_ROOT_PASSWORD"]) == {
        "A_OCTAL": "010",
        "A_TEXT_TRUE": "true",
        "MYSQL_ROOT_PASSWORD": PASSWORD,
    }


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("X", "a{{b", "`{{`"),
        ("X", ["ok", {"deep": "{% if %}"}], "`{%`"),
        ("X", "{# gone #}", "`{#`"),
        ("X", "cut off\n", "line feed"),
        ("X", "a\r\nb", "carriage return"),
        ("X", "bell\x07", "control character"),
        ("bad name", 1, "not a name"),
        ("MYSQL_PASSWORD", "x", "OPENEDX_MYSQL_PASSWORD"),
        ("PLUGINS", ["mfe"], "tutor_plugin"),
    ],
)
def test_what_tutor_cannot_hold_is_refused_before_anything_is_written(
    lab22: Any, run_module: Run, name: str, value: Any, reason: str
) -> None:
    before = lab22.snapshot()
    answer = run_module("tutor_config", **lab22.options(set={name: value}))
    assert answer.get("failed") and reason in answer["msg"]
    assert lab22.snapshot() == before


def test_what_is_refused_really_does_not_survive_tutor(lab: Any) -> None:
    text = (lab.root / "config.yml").read_text(encoding="utf-8")
    for value in ('"cut off\\n"', '"a\\r\\nb"'):
        (lab.root / "config.yml").write_text(f"{text}X: {value}\n", encoding="utf-8")
        assert lab.cli("config", "save").returncode == 0
        assert lab.config()["X"] in ("cut off", "a\nb")
    (lab.root / "config.yml").write_text(text + 'X: "a{{b"\n', encoding="utf-8")
    assert lab.cli("config", "save").returncode != 0


def test_check_mode_predicts_settings_and_files_and_touches_nothing(lab: Any, run_module: Run) -> None:
    before = lab.snapshot()
    answer = run_module("tutor_config", check=True, diff=True, **lab.options(set={"MYSQL_HOST": "10.0.0.10"}))
    assert answer["changed"] is True
    assert any(name.endswith("lms.env.yml") for name in answer["env_changed"])
    assert lab.snapshot() == before
    done = run_module("tutor_config", diff=True, **lab.options(set={"MYSQL_HOST": "10.0.0.10"}))
    assert (done["env_changed"], done["after"], done["diff"]) == (
        answer["env_changed"],
        answer["after"],
        answer["diff"],
    )
    changed = {name for name, seen in lab.snapshot().items() if seen[1] != before.get(name, (0, b""))[1]}
    expected = {str(lab.root / "env" / name) for name in done["env_changed"]}
    assert changed == {*expected, str(lab.root / "config.yml"), done["backup"]}


def test_rendering_that_is_behind_is_a_change_though_settings_are_right(lab: Any, run_module: Run) -> None:
    rendered = lab.root / "env" / "apps" / "openedx" / "config" / "lms.env.yml"
    rendered.write_text("stale", encoding="utf-8")
    answer = run_module("tutor_config", **lab.options(set={}))
    assert answer["changed"] and answer["env_changed"] == ["apps/openedx/config/lms.env.yml"]
    assert answer["before"] == {} and answer["backup"] is None
    assert "stale" not in rendered.read_text(encoding="utf-8")
    assert run_module("tutor_config", **lab.options(set={}))["changed"] is False


def test_a_patch_that_breaks_rendering_leaves_the_root_alone(lab: Any, run_module: Run) -> None:
    (lab.plugins / "needs.py").write_text(
        "from tutor import hooks\n"
        'hooks.Filters.CONFIG_DEFAULTS.add_item(("NEEDS_IT", "x"))\n'
        'hooks.Filters.ENV_PATCHES.add_item(("openedx-common-settings", "V = {{ NEEDS_IT + 1 }}"))\n',
        encoding="utf-8",
    )
    assert run_module("tutor_config", **lab.options(set={"NEEDS_IT": 1}))["changed"] is True
    (lab.root / "config.yml").write_text(
        (lab.root / "config.yml").read_text(encoding="utf-8").replace("PLUGINS: []", "PLUGINS: [needs]"),
        encoding="utf-8",
    )
    assert run_module("tutor_config", **lab.options(set={"NEEDS_IT": 2}))["changed"] is True
    before = lab.snapshot()
    answer = run_module("tutor_config", **lab.options(set={"NEEDS_IT": "text"}))
    assert answer.get("failed") and "config save" in answer["msg"]
    assert lab.snapshot() == before


def test_backup_is_put_back_when_the_real_rendering_fails(lab: Any, run_module: Run) -> None:
    before = lab.config()
    victim = lab.root / "env" / "apps" / "openedx" / "config" / "lms.env.yml"
    victim.unlink()
    victim.mkdir()  # Tutor cannot write here, and the throw-away copy does not know
    answer = run_module("tutor_config", **lab.options(set={"MYSQL_HOST": "10.0.0.10"}))
    assert answer.get("failed") and "put back" in answer["msg"] and "run `tutor config save`" in answer["msg"]
    assert lab.config() == before


def test_backups_are_private_and_only_so_many_are_kept(lab22: Any, run_module: Run) -> None:
    for number in range(4):
        answer = run_module("tutor_config", **lab22.options(set={"X": number}, backups=2))
    backups = sorted(lab22.root.glob("config.yml.*.bak"))
    assert len(backups) == 2 and str(backups[-1]) == answer["backup"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in backups)
    assert "X: 2" in backups[-1].read_text(encoding="utf-8")


def test_mode_of_the_file_is_kept_and_secrets_close_it(lab22: Any, run_module: Run) -> None:
    path = lab22.root / "config.yml"
    path.chmod(0o644)
    run_module("tutor_config", **lab22.options(set={"X": 1}))
    assert path.stat().st_mode & 0o777 == 0o644
    assert run_module("tutor_config", check=True, **lab22.options(secrets={"X": 1}))["changed"] is True
    assert run_module("tutor_config", **lab22.options(secrets={"X": 1}))["changed"] is True
    assert path.stat().st_mode & 0o777 == 0o640
    assert run_module("tutor_config", **lab22.options(secrets={"X": 1}))["changed"] is False


def test_append_and_remove_start_from_the_default_and_happen_once(lab: Any, run_module: Run) -> None:
    options = lab.options(append={"MOUNTS": "/srv/a"}, remove={"MOUNTS": ["/srv/nowhere"]})
    assert run_module("tutor_config", **options)["changed"] is True
    assert lab.config()["MOUNTS"] == ["/srv/a"]
    assert run_module("tutor_config", **options)["changed"] is False
    assert run_module("tutor_config", **lab.options(remove={"MOUNTS": "/srv/a"}))["changed"] is True
    assert lab.config()["MOUNTS"] == []
    refused = run_module("tutor_config", **lab.options(append={"LMS_HOST": "x"}))
    assert "not a list" in refused["msg"]


def test_unset_returns_to_the_default_but_never_draws_a_new_password(lab: Any, run_module: Run) -> None:
    run_module("tutor_config", **lab.options(set={"MYSQL_PORT": 13306}))
    assert run_module("tutor_config", **lab.options(unset=["MYSQL_PORT", "NOT_THERE"]))["changed"] is True
    assert lab.tutor().value("MYSQL_PORT") == 3306
    assert run_module("tutor_config", **lab.options(unset=["MYSQL_PORT", "NOT_THERE"]))["changed"] is False
    before = lab.snapshot()
    answer = run_module("tutor_config", **lab.options(unset=["OPENEDX_MYSQL_PASSWORD"]))
    assert "draws a new value" in answer["msg"]
    assert lab.snapshot() == before


def test_overrides_in_the_environment_are_not_saved(lab: Any, run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUTOR_MYSQL_HOST", "wrong")
    assert run_module("tutor_config", **lab.options(set={"MYSQL_HOST": "right"}))["changed"] is True
    assert lab.config()["MYSQL_HOST"] == "right"
    assert lab.tutor().value("MYSQL_HOST") == "right"
    environment = {**os.environ, "TUTOR_ROOT": str(lab.root)}
    subprocess.run([lab.binary, "config", "save"], env=environment, check=True, capture_output=True)
    assert lab.config()["MYSQL_HOST"] == "wrong", "the trap itself is gone"


def test_no_update_is_lost_when_several_processes_save_at_once(lab22: Any) -> None:
    code = (
        "import sys, ansible_collections\n"
        "ansible_collections.__path__ = [sys.argv[1], *ansible_collections.__path__]\n"
        "from ansible_collections.tutorops.scale.plugins.module_utils.tutor import Tutor\n"
        "from ansible_collections.tutorops.scale.plugins.module_utils.tutor_config_file import ConfigChange\n"
        "from ansible_collections.tutorops.scale.plugins.module_utils.tutor_stage import change_config\n"
        "tutor = Tutor(sys.argv[2], sys.argv[3], sys.argv[4])\n"
        "change_config(tutor, ConfigChange(set={sys.argv[5]: 1}), check_mode=False, backups=0)\n"
    )
    command = [sys.executable, "-c", code, ansible_collections.__path__[0]]
    command += [str(lab22.root), lab22.binary, str(lab22.plugins)]
    running = [subprocess.Popen([*command, f"K{number}"]) for number in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    assert {f"K{number}" for number in range(4)} <= lab22.config().keys()


def test_a_plugin_that_is_missing_stops_the_change_instead_of_losing_its_patches(lab: Any, run_module: Run) -> None:
    path = lab.root / "config.yml"
    path.write_text(path.read_text(encoding="utf-8").replace("PLUGINS: []", "PLUGINS: [gone]"), encoding="utf-8")
    before = lab.snapshot()
    answer = run_module("tutor_config", **lab.options(set={"X": 1}))
    assert "cannot load the plugin gone" in answer["msg"] and "plugins disable gone" in answer["msg"]
    assert lab.snapshot() == before
    info = run_module("tutor_config_info", **lab.options())
    assert list(info["failed_plugins"]) == ["gone"] and info["enabled_plugins"] == []


def test_a_template_written_by_hand_is_reported_as_the_change_that_saving_makes(lab: Any, run_module: Run) -> None:
    with open(lab.root / "config.yml", "a", encoding="utf-8") as stream:
        stream.write('LMS_HOST: example.com\nZZ: "at {{ LMS_HOST }}"\n')
    assert lab.tutor().value("ZZ") == "at example.com"
    answer = run_module("tutor_config", **lab.options(set={}))
    assert answer["after"]["ZZ"] == "at example.com" and lab.config()["ZZ"] == "at example.com"


def test_secrets_are_in_no_output_and_no_argv(lab22: Any, run_module: Run, tmp_path: Path) -> None:
    secret, other = "s3cr3t-of-the-task", "an0ther-0ne-by-name"
    wrapper = tmp_path / "tutor"
    wrapper.write_text(f'#!/bin/sh\necho "$0 $@" >> {tmp_path}/argv\nexec {lab22.binary} "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    options = lab22.options(set={"SMTP_PASSWORD": other, "X": 1}, secrets={"PLAIN": secret, "PEM": "a line of it\nb"})
    options["binary"] = str(wrapper)
    answer = run_module("tutor_config", diff=True, **options)
    assert answer["changed"] and answer["after"]["X"] == 1
    text = str(answer)
    assert secret not in text and other not in text and "a line of it" not in text
    assert lab22.config()["PLAIN"] == secret and lab22.config()["SMTP_PASSWORD"] == other
    seen = (tmp_path / "argv").read_text(encoding="utf-8")
    assert "config save" in seen and secret not in seen and other not in seen


def test_info_gives_typed_values_in_force(lab: Any, run_module: Run) -> None:
    keys = ["MYSQL_HOST", "MYSQL_PORT", "RUN_MYSQL", "REDIS_PASSWORD", "OPENEDX_MYSQL_PASSWORD", "MOUNTS"]
    answer = run_module("tutor_config_info", **lab.options(keys=keys))
    assert answer["settings"] == {
        "MYSQL_HOST": "mysql",
        "MYSQL_PORT": 3306,
        "RUN_MYSQL": True,
        "REDIS_PASSWORD": "",
        "OPENEDX_MYSQL_PASSWORD": "********",
        "MOUNTS": [],
    }
    assert answer["user_keys"] == ["OPENEDX_MYSQL_PASSWORD"]
    assert answer["version"]["major"] == lab.major and answer["env_version"] == answer["version"]["full"]
    assert answer["paths"]["plugins"] == str(lab.plugins) and answer["project_name"] == "tutor_local"
    shown = run_module("tutor_config_info", **lab.options(keys=["OPENEDX_MYSQL_PASSWORD"], show_secrets=True))
    assert shown["settings"]["OPENEDX_MYSQL_PASSWORD"] == lab.config()["OPENEDX_MYSQL_PASSWORD"]
    unknown = run_module("tutor_config_info", **lab.options(keys=["NO_SUCH_KEY"]))
    assert unknown.get("failed") and "knows no setting NO_SUCH_KEY" in unknown["msg"]
    assert run_module("tutor_config_info", **lab.options(keys=["NO_SUCH_KEY"], missing_ok=True))["settings"] == {}


def test_print_out_is_the_fallback_where_tutor_is_no_python_script(lab22: Any, tmp_path: Path) -> None:
    wrapper = tmp_path / "tutor"
    wrapper.write_text(f'#!/bin/sh\nexec {lab22.binary} "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    tutor = lab22.tutor(binary=str(wrapper))
    wanted = {"MYSQL_PORT": 3306, "RUN_MYSQL": True, "MOUNTS": [], "MYSQL_HOST": "mysql", "MINIO_GATEWAY": None}
    del wanted["MINIO_GATEWAY"]
    assert tutor.values(wanted) == wanted
    assert tutor.values(["NO_SUCH_KEY"], missing_ok=True) == {}


def test_an_environment_of_another_release_is_not_rendered_over(lab22: Any, run_module: Run) -> None:
    (lab22.root / "env" / "version").write_text("21.0.9", encoding="utf-8")
    answer = run_module("tutor_config", **lab22.options(set={"X": 1}))
    assert "rendered by Tutor 21" in answer["msg"]
