# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generated Tutor plugin, rendered by the real Tutor: what an attach and a commit make of a platform's services.

The question is always the same: what would `docker compose up` create anew? Compose itself answers where it is at hand
(as a plugin of docker, or in the lab's image of the app server); the definitions that it hashes are compared
everywhere.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from plugin_world import NAME, Run, attach, commit, definitions, detach, generated, hashes, without

pytestmark = pytest.mark.tutor_cli


def test_an_attach_alters_only_those_that_are_rolled(lab: Any, run_module: Run) -> None:
    run_module("tutor_plugin", **lab.options(name="notes"))
    found = definitions(lab)
    attach(lab, run_module, "mysql")
    attached = definitions(lab)
    altered = {name for name in found if found[name] != attached[name]}
    assert attached.keys() == found.keys() and altered == {"lms", "cms", "notes"}
    for name in altered:
        assert attached[name].pop("depends_on") == [need for need in found[name].pop("depends_on") if need != "mysql"]
        assert attached[name] == found[name]


def test_a_commit_alters_nothing_but_the_store(lab: Any, run_module: Run) -> None:
    run_module("tutor_plugin", **lab.options(name="notes"))
    attach(lab, run_module, "mysql")
    attached = definitions(lab)
    changed = commit(lab, run_module, "mysql")
    assert definitions(lab) == without(attached, "mysql")
    mounted = [name for name in changed if name.startswith(("apps/", "plugins/"))]
    assert mounted == [
        "apps/openedx/config/cms.env.yml",
        "apps/openedx/config/lms.env.yml",
        "apps/permissions/setowners.sh",
    ]


def test_compose_itself_finds_nothing_to_create_anew_at_a_commit(lab: Any, run_module: Run) -> None:
    run_module("tutor_plugin", **lab.options(name="notes"))
    found = hashes(lab)
    attach(lab, run_module, "mysql")
    attached = hashes(lab)
    assert {name for name in found if found[name] != attached[name]} <= {"lms", "cms", "notes"}
    commit(lab, run_module, "mysql")
    assert hashes(lab) == {name: digest for name, digest in attached.items() if name != "mysql"}


def test_without_the_plugin_compose_would_create_the_platform_anew(lab22: Any, run_module: Run) -> None:
    """The trap itself, so that the plugin goes when Tutor or compose no longer needs it."""
    found = hashes(lab22)
    commit(lab22, run_module, "mysql")
    assert hashes(lab22)["permissions"] != found["permissions"]


def settings_of(lab: Any, kind: str) -> dict[str, Any]:
    """Give the database settings as the platform ends up with them: the file of settings, then our patch."""
    loaded = yaml.safe_load((lab.root / f"env/apps/openedx/config/{kind}.env.yml").read_text(encoding="utf-8"))
    names = {"DATABASES": loaded["DATABASES"]}
    python = (lab.root / f"env/apps/openedx/settings/{kind}/production.py").read_text(encoding="utf-8")
    for line in python.splitlines():
        if line.startswith("DATABASES["):
            exec(line, names)  # one line of the file under test
    return dict(names["DATABASES"]["default"])


@pytest.mark.parametrize("kind", ["lms", "cms"])
def test_processes_read_the_same_settings_before_and_after_a_commit(lab: Any, run_module: Run, kind: str) -> None:
    attach(lab, run_module, "mysql")
    attached = settings_of(lab, kind)
    assert (attached["HOST"], attached["PORT"]) == ("10.0.0.10", 3307)
    commit(lab, run_module, "mysql")
    assert settings_of(lab, kind) == attached
    assert attached["OPTIONS"]["charset"] == "utf8mb4"


def test_the_job_permissions_does_the_same_before_and_after_a_commit(lab: Any, run_module: Run) -> None:
    def commands() -> list[str]:
        text = (lab.root / "env/apps/permissions/setowners.sh").read_text(encoding="utf-8")
        return sorted(line.strip() for line in text.splitlines() if line.startswith("setowner"))

    found = commands()
    attach(lab, run_module, "mysql")
    assert commands() == found and "setowner 999 /mounts/mysql" in found
    commit(lab, run_module, "mysql")
    assert commands() == found


def test_a_detach_restores_every_rendered_file(lab: Any, run_module: Run) -> None:
    def rendered() -> dict[str, bytes]:
        env = lab.root / "env"
        return {str(path.relative_to(env)): path.read_bytes() for path in env.rglob("*") if path.is_file()}

    found, config = rendered(), lab.config()
    attach(lab, run_module, "mysql")
    detach(lab, run_module, "mysql")
    assert rendered() == found and lab.config() == config


def test_a_service_that_another_plugin_defines_too_is_refused(lab22: Any, run_module: Run) -> None:
    other = (
        "from tutor import hooks\n"
        'hooks.Filters.ENV_PATCHES.add_item(("local-docker-compose-prod-services", "lms:\\n  mem_limit: 2g"))\n'
    )
    run_module("tutor_plugin", **lab22.options(name="other", content=other))
    before = lab22.snapshot()
    answer = run_module("tutor_plugin", **lab22.options(name=NAME, content=generated("mysql")))
    assert answer["failed"] and "both add to the service lms" in answer["msg"], answer
    assert lab22.snapshot() == before
