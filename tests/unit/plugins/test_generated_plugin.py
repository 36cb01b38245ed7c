# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generated Tutor plugin, rendered by the real Tutor: what an attach and a commit make of a platform's services.

The question is always the same: what would `docker compose up` create anew? Compose itself answers where it is at hand
(as a plugin of docker, or in the lab's image of the app server); the definitions that it hashes are compared
everywhere.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

pytestmark = pytest.mark.tutor_cli

Run = Callable[..., dict[str, Any]]

ROLE = Path(__file__).parents[3] / "roles" / "tutor"
NAME = "tutorops_scale"
LAB_IMAGE = "tutorops-lab/appserver:latest"
DOCKER = shutil.which("docker")
EDGE = {"MYSQL_HOST": "10.0.0.10", "MYSQL_PORT": 3307}


def generated(*stores: str) -> str:
    """Render the plugin as the role does."""
    known = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["__tutor_stores"]
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True)
    environment.filters.update(to_json=json.dumps, comment=lambda text: f"# {text}")
    template = environment.from_string((ROLE / "templates" / f"{NAME}.py.j2").read_text(encoding="utf-8"))
    return template.render(
        ansible_managed="Ansible managed", __tutor_plugin_stores={store: known[store] for store in stores}
    )


def attach(lab: Any, run_module: Run) -> None:
    """Do what the role's attach does to the configuration."""
    answer = run_module("tutor_plugin", **lab.options(name=NAME, content=generated("mysql")))
    assert answer.get("changed"), answer
    answer = run_module("tutor_config", **lab.options(set=EDGE))
    assert answer.get("changed"), answer


def commit(lab: Any, run_module: Run) -> list[str]:
    """Do what the role's commit does to the configuration; names the rendered files that changed."""
    answer = run_module("tutor_config", **lab.options(set={"RUN_MYSQL": False}))
    assert answer.get("changed"), answer
    return list(answer["env_changed"])


class Override:
    """What `!override` carries."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Loader(yaml.SafeLoader):
    pass


def _override(loader: Any, node: yaml.Node) -> Override:
    make = loader.construct_sequence if isinstance(node, yaml.SequenceNode) else loader.construct_mapping
    return Override(make(node, deep=True))


Loader.add_constructor("!override", _override)


def definitions(lab: Any) -> dict[str, Any]:
    """Give the services as compose puts them together from both files."""
    services: dict[str, Any] = {}
    for name in ("docker-compose.yml", "docker-compose.prod.yml"):
        loaded = yaml.load((lab.root / "env" / "local" / name).read_text(encoding="utf-8"), Loader)
        for service, parts in (loaded.get("services") or {}).items():
            target = services.setdefault(service, {})
            for key, value in parts.items():
                assert key not in target or isinstance(value, Override), f"{service}.{key} would be merged"
                target[key] = value.value if isinstance(value, Override) else value
    return services


def without(services: dict[str, Any], name: str) -> dict[str, Any]:
    return {service: parts for service, parts in services.items() if service != name}


@functools.cache
def _compose() -> tuple[str, ...] | None:
    if DOCKER is None:
        return None
    if subprocess.run([DOCKER, "compose", "version"], capture_output=True, check=False).returncode == 0:
        return (DOCKER, "compose")
    found = subprocess.run([DOCKER, "image", "inspect", LAB_IMAGE], capture_output=True, check=False)
    return (DOCKER, "run", "--rm", "--network=none") if found.returncode == 0 else None


def hashes(lab: Any) -> dict[str, str]:
    """Ask compose for the hash of each service's definition."""
    argv = _compose()
    if argv is None:
        pytest.skip(f"neither `docker compose` nor the image {LAB_IMAGE} is here")
    folder = lab.root / "env" / "local"
    if "run" in argv:
        argv = (*argv, f"--volume={lab.root}:{lab.root}:ro", LAB_IMAGE, "docker", "compose")
    files = (f"--file={folder}/docker-compose.yml", f"--file={folder}/docker-compose.prod.yml")
    done = subprocess.run(
        [*argv, *files, "--project-name=tutor_local", "config", "--hash=*"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": f"{Path(DOCKER or '/').parent}{os.pathsep}{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines())  # type: ignore[misc]


def test_an_attach_alters_only_those_that_are_rolled(lab: Any, run_module: Run) -> None:
    run_module("tutor_plugin", **lab.options(name="notes"))
    found = definitions(lab)
    attach(lab, run_module)
    attached = definitions(lab)
    altered = {name for name in found if found[name] != attached[name]}
    assert attached.keys() == found.keys() and altered == {"lms", "cms", "notes"}
    for name in altered:
        assert attached[name].pop("depends_on") == [need for need in found[name].pop("depends_on") if need != "mysql"]
        assert attached[name] == found[name]


def test_a_commit_alters_nothing_but_the_store(lab: Any, run_module: Run) -> None:
    run_module("tutor_plugin", **lab.options(name="notes"))
    attach(lab, run_module)
    attached = definitions(lab)
    changed = commit(lab, run_module)
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
    attach(lab, run_module)
    attached = hashes(lab)
    assert {name for name in found if found[name] != attached[name]} <= {"lms", "cms", "notes"}
    commit(lab, run_module)
    assert hashes(lab) == {name: digest for name, digest in attached.items() if name != "mysql"}


def test_without_the_plugin_compose_would_create_the_platform_anew(lab22: Any, run_module: Run) -> None:
    """The trap itself, so that the plugin goes when Tutor or compose no longer needs it."""
    found = hashes(lab22)
    commit(lab22, run_module)
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
    attach(lab, run_module)
    attached = settings_of(lab, kind)
    assert (attached["HOST"], attached["PORT"]) == ("10.0.0.10", 3307)
    commit(lab, run_module)
    assert settings_of(lab, kind) == attached
    assert attached["OPTIONS"]["charset"] == "utf8mb4"


def test_the_job_permissions_does_the_same_before_and_after_a_commit(lab: Any, run_module: Run) -> None:
    def commands() -> list[str]:
        text = (lab.root / "env/apps/permissions/setowners.sh").read_text(encoding="utf-8")
        return sorted(line.strip() for line in text.splitlines() if line.startswith("setowner"))

    found = commands()
    attach(lab, run_module)
    assert commands() == found and "setowner 999 /mounts/mysql" in found
    commit(lab, run_module)
    assert commands() == found


def test_a_detach_restores_every_rendered_file(lab: Any, run_module: Run) -> None:
    def rendered() -> dict[str, bytes]:
        env = lab.root / "env"
        return {str(path.relative_to(env)): path.read_bytes() for path in env.rglob("*") if path.is_file()}

    found, config = rendered(), lab.config()
    attach(lab, run_module)
    run_module("tutor_config", **lab.options(unset=sorted(EDGE)))
    run_module("tutor_plugin", **lab.options(name=NAME, state="absent"))
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
