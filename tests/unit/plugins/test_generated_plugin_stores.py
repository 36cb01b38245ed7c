# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generated plugin with MongoDB and Redis, alone and all stores at once, rendered by the real Tutor."""

from __future__ import annotations

import re
from typing import Any

import pytest
from plugin_world import (
    AUTHORITY,
    CA,
    EDGE,
    NAME,
    SECRETS,
    Run,
    attach,
    commit,
    definitions,
    detach,
    generated,
    hashes,
)

pytestmark = pytest.mark.tutor_cli

STORES = ("mysql", "mongodb", "redis")
COMMAND = (
    "mongod --storageEngine wiredTiger --replSet tutorops --keyFile /data/db/tutorops.keyfile --transitionToAuth "
    "--tlsMode preferTLS --tlsCertificateKeyFile /data/db/tutorops.pem --tlsCAFile /data/db/tutorops-ca.pem "
    "--tlsAllowConnectionsWithoutCertificates"
)


def rendered(lab: Any, path: str) -> str:
    return str((lab.root / "env" / path).read_text(encoding="utf-8"))


def production(lab: Any, kind: str) -> str:
    return rendered(lab, f"apps/openedx/settings/{kind}/production.py")


class TestAttach:
    def test_all_at_once_alter_only_those_that_are_rolled_and_mongodb(self, lab: Any, run_module: Run) -> None:
        run_module("tutor_plugin", **lab.options(name="notes"))
        found = definitions(lab)
        attach(lab, run_module, *STORES)
        attached = definitions(lab)
        assert attached.keys() == found.keys()
        altered = {name for name in found if found[name] != attached[name]}
        assert altered == {"lms", "cms", "notes", "mongodb"}
        for name in altered - {"mongodb"}:
            needs = attached[name].pop("depends_on")
            assert needs == [need for need in found[name].pop("depends_on") if need not in STORES]
            assert attached[name] == found[name]

    def test_mongodb_becomes_a_member_of_a_set(self, lab: Any, run_module: Run) -> None:
        attach(lab, run_module, "mongodb")
        attached = definitions(lab)["mongodb"]
        assert attached.pop("command") == COMMAND.split()
        detach(lab, run_module, "mongodb")
        found = definitions(lab)["mongodb"]
        assert found.pop("command") == "mongod --storageEngine wiredTiger"
        assert attached == found

    def test_before_the_set_has_a_name_its_container_stays_as_it_is(self, lab22: Any, run_module: Run) -> None:
        found = definitions(lab22)["mongodb"]
        run_module("tutor_plugin", **lab22.options(name=NAME, content=generated("mongodb")))
        assert definitions(lab22)["mongodb"] == found
        assert '_tutorops_mongodb = {"directConnection": True}' in production(lab22, "lms")

    def test_containers_find_the_certificate_authority(self, lab: Any, run_module: Run) -> None:
        attach(lab, run_module, "mongodb")
        assert rendered(lab, CA).strip() == AUTHORITY.strip()
        # Wherever settings are read.
        services = definitions(lab)
        for name in ("lms", "cms", "lms-worker", "cms-worker"):
            assert any(volume.split(":")[1] == "/openedx/config" for volume in services[name]["volumes"])
        (lab.root / "env" / CA).unlink()
        assert lab.cli("config", "save", "--clean" if lab.major > 18 else "--env-only").returncode == 0
        assert (lab.root / "env" / CA).exists()

    def test_redis_reads_what_it_is_told(self, lab: Any, run_module: Run) -> None:
        found = definitions(lab)["redis"]
        before = rendered(lab, "apps/redis/redis.conf")
        attach(lab, run_module, "redis")
        lines = rendered(lab, "apps/redis/redis.conf").splitlines()
        # Ours come last, and Redis takes the last one of two.
        assert lines[: len(before.rstrip().splitlines())] == before.rstrip().splitlines()
        for line in ("user openedx on #00ff ~* &* +@all -@admin", "replicaof 127.0.0.1 1", "replica-priority 0"):
            assert line in lines
        assert definitions(lab)["redis"] == found


class TestSettings:
    """What processes end up with: Tutor's own part and ours, run as they stand in the file."""

    def mongodb(self, lab: Any, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
        text = production(lab, kind)
        own = re.search(r"^mongodb_parameters = \{.*?^update_module_store_settings\(.*?\)$", text, re.M | re.S)
        ours = re.search(
            r"^_tutorops_mongodb = .*?^    FORUM_MONGODB_CLIENT_PARAMETERS\.update\(.*?\)$", text, re.M | re.S
        )
        assert own and ours and own.start() < ours.start()

        def update_module_store_settings(module_store: dict[str, Any], doc_store_settings: dict[str, Any]) -> None:
            # As edx-platform does: each store has a copy of its own.
            for store in module_store["stores"]:
                store.update(doc_store_settings)

        names: dict[str, Any] = {
            "MODULESTORE": {"stores": [{}, {}]},
            "FORUM_MONGODB_CLIENT_PARAMETERS": {"host": "10.0.0.10"},
            "update_module_store_settings": update_module_store_settings,
        }
        exec(own[0] + "\n" + ours[0], names)  # parts of the file under test
        stores = [names["DOC_STORE_CONFIG"], names["CONTENTSTORE"]["DOC_STORE_CONFIG"], *names["MODULESTORE"]["stores"]]
        assert all(store == stores[0] for store in stores)
        return stores[0], names["FORUM_MONGODB_CLIENT_PARAMETERS"]

    @pytest.mark.parametrize("kind", ["lms", "cms"])
    def test_mongodb_s_clients_know_the_set_and_whom_to_trust(self, lab: Any, run_module: Run, kind: str) -> None:
        attach(lab, run_module, *STORES)
        assert "directConnection" not in production(lab, kind)
        config, forum = self.mongodb(lab, kind)
        assert (config["host"], config["port"], config["replicaSet"]) == ("10.0.0.10", 27018, "tutorops")
        assert (config["user"], config["password"], config["ssl"]) == ("openedx", "m0ng0-s3cret", True)
        more = {"connectTimeoutMS": 2000, "heartbeatFrequencyMS": 2000, "retryWrites": True}
        assert {name: config[name] for name in more} == {name: forum[name] for name in more} == more
        assert config["tlsCAFile"] == forum["tlsCAFile"] == f"/openedx/config/{CA.rpartition('/')[2]}"
        commit(lab, run_module, *STORES)
        assert self.mongodb(lab, kind) == (config, forum)

    @pytest.mark.parametrize("kind", ["lms", "cms"])
    def test_the_event_bus_goes_where_redis_is(self, lab: Any, run_module: Run, kind: str) -> None:
        attach(lab, run_module, *STORES)
        text = production(lab, kind)
        own = re.search(r"^EVENT_BUS_REDIS_CONNECTION_URL = .*$", text, re.M)
        ours = re.search(r'^if "EVENT_BUS_REDIS_CONNECTION_URL" in globals\(\):\n    .*$', text, re.M)
        assert ours and (own is None or own.start() < ours.start())
        names: dict[str, Any] = {}
        exec((own[0] if own else "") + "\n" + ours[0], names)
        assert (own is not None) is (lab.major >= 21)
        assert names.get("EVENT_BUS_REDIS_CONNECTION_URL") == (
            "redis://openedx:r3dis-s3cret@10.0.0.10:6380/" if own else None
        )


class TestCommit:
    def test_nothing_but_the_stores_changes(self, lab: Any, run_module: Run) -> None:
        run_module("tutor_plugin", **lab.options(name="notes"))
        attach(lab, run_module, *STORES)
        attached = definitions(lab)
        changed = commit(lab, run_module, *STORES)
        assert definitions(lab) == {name: parts for name, parts in attached.items() if name not in STORES}
        mounted = [name for name in changed if name.startswith(("apps/", "plugins/"))]
        assert mounted == [
            "apps/openedx/config/cms.env.yml",
            "apps/openedx/config/lms.env.yml",
            "apps/permissions/setowners.sh",
        ]

    @pytest.mark.parametrize("store", ["mongodb", "redis"])
    def test_each_one_alone(self, lab: Any, run_module: Run, store: str) -> None:
        attach(lab, run_module, *STORES)
        attached = definitions(lab)
        changed = commit(lab, run_module, store)
        assert definitions(lab) == {name: parts for name, parts in attached.items() if name != store}
        assert [name for name in changed if name.startswith(("apps/", "plugins/"))] == ["apps/permissions/setowners.sh"]

    def test_compose_itself_finds_nothing_to_create_anew(self, lab: Any, run_module: Run) -> None:
        run_module("tutor_plugin", **lab.options(name="notes"))
        found = hashes(lab)
        attach(lab, run_module, *STORES)
        attached = hashes(lab)
        assert {name for name in found if found[name] != attached[name]} <= {"lms", "cms", "notes", "mongodb"}
        assert found["mongodb"] != attached["mongodb"]
        commit(lab, run_module, *STORES)
        assert hashes(lab) == {name: digest for name, digest in attached.items() if name not in STORES}

    def test_the_job_permissions_does_the_same(self, lab: Any, run_module: Run) -> None:
        def commands() -> list[str]:
            text = rendered(lab, "apps/permissions/setowners.sh")
            return sorted(line.strip() for line in text.splitlines() if line.startswith("setowner"))

        found = commands()
        attach(lab, run_module, *STORES)
        commit(lab, run_module, *STORES)
        assert commands() == found
        assert {"setowner 999 /mounts/mongodb", "setowner 1000 /mounts/redis"} <= set(found)


def test_a_detach_restores_every_rendered_file(lab: Any, run_module: Run) -> None:
    def everything() -> dict[str, bytes]:
        env = lab.root / "env"
        return {str(path.relative_to(env)): path.read_bytes() for path in env.rglob("*") if path.is_file()}

    found, config = everything(), lab.config()
    attach(lab, run_module, *STORES)
    detach(lab, run_module, *STORES)
    assert everything() == found and lab.config() == config


@pytest.mark.parametrize("kind", ["lms", "cms"])
def test_a_set_that_is_left_is_not_looked_for(lab22: Any, run_module: Run, kind: str) -> None:
    """Between the settings' return and the plugin's end clients go straight to the container, whatever it is."""
    attach(lab22, run_module, "mongodb")
    run_module("tutor_config", **lab22.options(unset=sorted([*EDGE["mongodb"], *SECRETS["mongodb"]])))
    config, forum = TestSettings().mongodb(lab22, kind)
    assert (config["host"], config["replicaSet"], config["ssl"]) == ("mongodb", None, False)
    assert config["directConnection"] and forum["directConnection"] and "tlsCAFile" not in config
    assert definitions(lab22)["mongodb"]["command"] == "mongod --storageEngine wiredTiger"


def test_no_secret_is_in_the_plugin(lab22: Any, run_module: Run) -> None:
    attach(lab22, run_module, *STORES)
    text = (lab22.plugins / f"{NAME}.py").read_text(encoding="utf-8")
    assert "s3cret" not in text
