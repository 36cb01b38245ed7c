# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traps of the real Tutor: plugins. One test for each, for Tutor 18, 20 and 22."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.tutor_cli

Run = Callable[..., dict[str, Any]]

PLUGIN = """from tutor import hooks
hooks.Filters.CONFIG_DEFAULTS.add_item(("ZZ_COLOUR", "blue"))
hooks.Filters.ENV_PATCHES.add_item(
    ("openedx-common-settings", "ZZ = '{{ ZZ_COLOUR }}'"), priority=hooks.priorities.LOW
)
"""
SETTINGS = "env/apps/openedx/settings/lms/production.py"


def test_enabling_saves_the_passwords_that_the_plugin_draws(lab: Any, run_module: Run) -> None:
    answer = run_module("tutor_plugin", **lab.options(name="notes"))
    assert answer.get("changed") is True, answer
    password = lab.config()["NOTES_MYSQL_PASSWORD"]
    settings = (lab.root / "env/plugins/notes/apps/settings/tutor.py").read_text(encoding="utf-8")
    assert password in settings and password not in str(answer)
    assert lab.cli("config", "save").returncode == 0
    assert lab.config()["NOTES_MYSQL_PASSWORD"] == password
    assert run_module("tutor_plugin", **lab.options(name="notes"))["changed"] is False


def test_enabling_by_hand_without_saving_is_repaired(lab: Any, run_module: Run) -> None:
    assert lab.cli("plugins", "enable", "notes").returncode == 0
    assert "NOTES_MYSQL_PASSWORD" not in lab.config(), "the trap itself is gone"
    assert run_module("tutor_plugin", **lab.options(name="notes"))["changed"] is True
    assert "NOTES_MYSQL_PASSWORD" in lab.config()


def test_a_file_is_installed_enabled_updated_and_removed(lab: Any, run_module: Run) -> None:
    options = lab.options(name="zz_hosts", content=PLUGIN)
    before = lab.snapshot()
    planned = run_module("tutor_plugin", check=True, **options)
    assert planned["changed"] and planned["enabled_plugins"] == ["zz_hosts"] and lab.snapshot() == before
    done = run_module("tutor_plugin", diff=True, **options)
    assert done["path"] == str(lab.plugins / "zz_hosts.py")
    assert (done["plugins_changed"], done["env_changed"]) == (["zz_hosts.py"], planned["env_changed"])
    assert "ZZ = 'blue'" in (lab.root / SETTINGS).read_text(encoding="utf-8")
    before = lab.snapshot()
    assert run_module("tutor_plugin", **options)["changed"] is False
    assert lab.snapshot() == before
    options["content"] = PLUGIN.replace("blue", "red")
    assert run_module("tutor_plugin", **options)["changed"] is True
    assert "ZZ = 'red'" in (lab.root / SETTINGS).read_text(encoding="utf-8")
    assert run_module("tutor_plugin", **lab.options(name="zz_hosts", state="absent"))["changed"] is True
    assert lab.config()["PLUGINS"] == [] and not (lab.plugins / "zz_hosts.py").exists()
    assert "ZZ = " not in (lab.root / SETTINGS).read_text(encoding="utf-8")
    assert run_module("tutor_plugin", **lab.options(name="zz_hosts", state="absent"))["changed"] is False


@pytest.mark.parametrize(
    ("form", "content", "reason"),
    [
        ("py", "def broken(:\n", "not valid Python at line 1"),
        ("py", "import not_there_at_all\n", "cannot load the plugin zz"),
        ("py", PLUGIN.replace("ZZ_COLOUR }}", "NOT_DEFINED }}"), "config save"),
        ("yml", "name: zz\nversion: [1\n", "not valid YAML"),
        ("yml", "- a list\n", "not a mapping"),
        ("yml", "name: other\nversion: 1.0.0\n", "calls itself other"),
    ],
)
def test_a_file_that_would_break_tutor_never_reaches_it(
    lab22: Any, run_module: Run, form: str, content: str, reason: str
) -> None:
    before = lab22.snapshot()
    answer = run_module("tutor_plugin", **lab22.options(name="zz", content=content, format=form))
    assert answer.get("failed") and reason in answer["msg"]
    assert lab22.snapshot() == before


def test_a_malformed_yaml_plugin_breaks_every_command_by_hand(lab: Any) -> None:
    (lab.plugins / "zz.yml").write_text("name: zz\nversion: [1\n", encoding="utf-8")
    assert lab.cli("config", "printvalue", "MYSQL_HOST").returncode != 0


def test_a_yaml_plugin_can_be_installed_from_a_file(lab: Any, run_module: Run, tmp_path: Any) -> None:
    source = tmp_path / "anything.yml"
    source.write_text(
        "name: zz\nversion: 1.0.0\npatches:\n  openedx-common-settings: |\n    ZZ = 1\n", encoding="utf-8"
    )
    assert run_module("tutor_plugin", **lab.options(name="zz", src=str(source), state="installed"))["changed"] is True
    assert lab.config()["PLUGINS"] == []
    assert run_module("tutor_plugin", **lab.options(name="zz"))["changed"] is True
    assert "ZZ = 1" in (lab.root / SETTINGS).read_text(encoding="utf-8")


def test_disabling_can_keep_the_settings_that_tutor_deletes(minio_lab: Any, run_module: Run) -> None:
    lab = minio_lab
    key = lab.config()["OPENEDX_AWS_SECRET_ACCESS_KEY"]
    answer = run_module("tutor_plugin", **lab.options(name="minio", state="disabled", keep_config=True))
    assert answer.get("changed") is True, answer
    assert lab.config()["PLUGINS"] == [] and lab.config()["OPENEDX_AWS_SECRET_ACCESS_KEY"] == key
    assert lab.config()["OPENEDX_AWS_ACCESS_KEY"] == "openedx" and key not in str(answer)
    again = run_module("tutor_plugin", **lab.options(name="minio", state="disabled", keep_config=True))
    assert again["changed"] is False


def test_disabling_without_that_loses_them_as_tutor_does(minio_lab: Any, run_module: Run) -> None:
    key = minio_lab.config()["OPENEDX_AWS_SECRET_ACCESS_KEY"]
    answer = run_module("tutor_plugin", **minio_lab.options(name="minio", state="disabled"))
    assert "OPENEDX_AWS_SECRET_ACCESS_KEY" not in minio_lab.config() and key not in str(answer)


def test_a_broken_plugin_blocks_others_because_tutor_would_forget_it(lab: Any, run_module: Run) -> None:
    path = lab.root / "config.yml"
    path.write_text(path.read_text(encoding="utf-8").replace("PLUGINS: []", "PLUGINS: [bad]"), encoding="utf-8")
    (lab.plugins / "bad.py").write_text("raise RuntimeError('no database')\n", encoding="utf-8")
    before = lab.snapshot()
    answer = run_module("tutor_plugin", **lab.options(name="notes"))
    assert "cannot load the plugin bad" in answer["msg"] and "no database" in answer["msg"]
    assert lab.snapshot() == before
    assert run_module("tutor_plugin", **lab.options(name="bad", state="disabled"))["changed"] is True
    assert lab.config()["PLUGINS"] == []
    lab.cli("plugins", "enable", "bad", "notes")


def test_tutor_itself_forgets_a_missing_plugin(lab: Any) -> None:
    path = lab.root / "config.yml"
    path.write_text(path.read_text(encoding="utf-8").replace("PLUGINS: []", "PLUGINS: [gone]"), encoding="utf-8")
    answer = lab.cli("plugins", "enable", "notes")
    assert answer.returncode == 0 and "Failed to enable plugin 'gone'" in answer.stderr
    assert lab.config()["PLUGINS"] == ["notes"]


def test_what_is_not_installed_cannot_be_enabled_and_packages_are_left_to_pip(lab22: Any, run_module: Run) -> None:
    assert "not installed" in run_module("tutor_plugin", **lab22.options(name="nothing"))["msg"]
    assert "Python package" in run_module("tutor_plugin", **lab22.options(name="notes", state="absent"))["msg"]
    assert "needs the file" in run_module("tutor_plugin", **lab22.options(name="notes", state="installed"))["msg"]
    assert "cannot be the name" in run_module("tutor_plugin", **lab22.options(name="../x", content=PLUGIN))["msg"]
