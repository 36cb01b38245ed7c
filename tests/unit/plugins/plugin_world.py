# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role tutor does to a Tutor when it attaches, commits and detaches stores, and what compose makes of it."""

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

Run = Callable[..., dict[str, Any]]

ROLE = Path(__file__).parents[3] / "roles" / "tutor"
NAME = "tutorops_scale"
LAB_IMAGE = "tutorops-lab/appserver:latest"
DOCKER = shutil.which("docker")
EDGE: dict[str, dict[str, Any]] = {
    "mysql": {"MYSQL_HOST": "10.0.0.10", "MYSQL_PORT": 3307},
    "mongodb": {
        "MONGODB_HOST": "10.0.0.10",
        "MONGODB_PORT": 27018,
        "MONGODB_REPLICA_SET": "tutorops",
        "MONGODB_USERNAME": "openedx",
        "MONGODB_AUTH_SOURCE": "admin",
        "MONGODB_USE_SSL": True,
    },
    "redis": {"REDIS_HOST": "10.0.0.10", "REDIS_PORT": 6380, "REDIS_USERNAME": "openedx"},
}
SECRETS = {
    "mysql": {},
    "mongodb": {"MONGODB_PASSWORD": "m0ng0-s3cret"},
    "redis": {"REDIS_PASSWORD": "r3dis-s3cret"},
}
REDIS_CONF = "user openedx on #00ff ~* &* +@all -@admin\nreplicaof 127.0.0.1 1\nreplica-priority 0\n"
AUTHORITY = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
CA = "apps/openedx/config/tutorops-ca.pem"


def generated(*stores: str) -> str:
    """Render the plugin as the role does."""
    known = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["__tutor_stores"]
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True)
    environment.filters.update(to_json=json.dumps, comment=lambda text: f"# {text}")
    template = environment.from_string((ROLE / "templates" / f"{NAME}.py.j2").read_text(encoding="utf-8"))
    return template.render(
        ansible_managed="Ansible managed",
        __tutor_plugin_stores={store: known[store] for store in stores},
        tutor_redis_conf=REDIS_CONF if "redis" in stores else "",
    )


def attach(lab: Any, run_module: Run, *stores: str) -> None:
    """Do what the role's attach does to the configuration."""
    if "mongodb" in stores:
        authority = lab.plugins / NAME / CA
        authority.parent.mkdir(parents=True)
        authority.write_text(AUTHORITY, encoding="utf-8")
    answer = run_module("tutor_plugin", **lab.options(name=NAME, content=generated(*stores)))
    assert answer.get("changed"), answer
    wanted = {name: value for store in stores for name, value in EDGE[store].items()}
    secrets = {name: value for store in stores for name, value in SECRETS[store].items()}
    answer = run_module("tutor_config", **lab.options(set=wanted, secrets=secrets))
    assert answer.get("changed"), answer


def commit(lab: Any, run_module: Run, *stores: str) -> list[str]:
    """Do what the role's commit does to the configuration; names the rendered files that changed."""
    answer = run_module("tutor_config", **lab.options(set={f"RUN_{store.upper()}": False for store in stores}))
    assert answer.get("changed"), answer
    return list(answer["env_changed"])


def detach(lab: Any, run_module: Run, *stores: str) -> None:
    """Do what the role's detach does to the configuration."""
    names = [name for store in stores for name in (*EDGE[store], *SECRETS[store])]
    run_module("tutor_config", **lab.options(unset=sorted(names)))
    run_module("tutor_plugin", **lab.options(name=NAME, state="absent"))
    (lab.root / "env" / CA).unlink(missing_ok=True)


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
