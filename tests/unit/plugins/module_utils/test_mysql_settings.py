# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_sessions import address_of
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_settings import MysqlSettings
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError

SETTINGS = {
    "edge_address": "10.0.0.10",
    "compose_project": "tutor_local",
    "source": {"service": "mysql", "root_user": "root", "root_password": "secret-one"},
    "source_port": 13306,
    "cluster": {
        "members": [{"name": "db1", "address": "10.0.0.11"}],
        "group_name": "4350f323-7565-4e59-8763-4b1b83a0ce0e",
        "admin_user": "tutorops_admin",
        "admin_password": "secret-two",
        "replication_user": "tutorops_repl",
        "replication_password": "secret-three",
    },
    "tls": {"ca": "ca.pem", "source_certificate": "source.crt", "source_key": "source.key"},
    "limits": {"hold_seconds": 3, "lag_seconds": 7},
}


def test_settings_have_defaults_and_ignore_the_limits_of_a_flip() -> None:
    settings = MysqlSettings.from_dict(SETTINGS)
    assert settings.source_address == "10.0.0.10"
    assert settings.members[0].port == 3306
    assert settings.limits.lag_seconds == 7.0
    assert settings.limits.comparison_seconds == 86400.0


def test_the_way_of_copying_is_one_of_three() -> None:
    assert MysqlSettings.from_dict(SETTINGS).copy == "auto"
    assert MysqlSettings.from_dict({**SETTINGS, "copy": "logical"}).copy == "logical"
    with pytest.raises(StoreError, match="offload_mysql_copy is dump, which is none of auto, physical, logical"):
        MysqlSettings.from_dict({**SETTINGS, "copy": "dump"})


def test_settings_keep_their_secrets() -> None:
    assert "secret" not in repr(MysqlSettings.from_dict(SETTINGS))


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(StoreError, match="lack 'tls': run offload.yml"):
        MysqlSettings.from_dict({name: value for name, value in SETTINGS.items() if name != "tls"})


@pytest.mark.parametrize(
    ("host", "address"),
    [("172.18.0.5:41234", "172.18.0.5"), ("[2001:db8::1]:99", "2001:db8::1"), ("localhost", "localhost"), (None, "")],
)
def test_a_host_of_a_process_list_is_an_address_and_a_port(host: str | None, address: str) -> None:
    assert address_of(host) == address
