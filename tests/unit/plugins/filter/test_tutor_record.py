# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an attach finds is recorded once, setting by setting."""

from __future__ import annotations

from ansible_collections.tutorops.scale.plugins.filter.tutor_record import tutor_record

SETTINGS = {"MYSQL_HOST": "10.0.0.10", "MYSQL_PORT": 3306}
FOUND = {"user_keys": ["MYSQL_PORT"], "settings": {"MYSQL_HOST": "mysql", "MYSQL_PORT": 3307}}


def test_a_value_of_the_user_is_told_from_a_default() -> None:
    assert tutor_record({}, ["mysql"], SETTINGS, FOUND) == {
        "stores": ["mysql"],
        "set": {"MYSQL_PORT": 3307},
        "unset": ["MYSQL_HOST"],
    }


def test_what_is_recorded_stays_whatever_is_found_later() -> None:
    record = tutor_record({}, ["mysql"], SETTINGS, FOUND)
    changed = {"user_keys": ["MYSQL_HOST", "MYSQL_PORT"], "settings": SETTINGS}
    assert tutor_record(record, ["mysql"], SETTINGS, changed) == record


def test_a_second_store_adds_its_own() -> None:
    record = tutor_record({}, ["mysql"], SETTINGS, FOUND)
    found = {"user_keys": ["REDIS_HOST"], "settings": {"REDIS_HOST": "redis"}}
    assert tutor_record(record, ["redis"], {"REDIS_HOST": "10.0.0.10"}, found) == {
        "stores": ["mysql", "redis"],
        "set": {"MYSQL_PORT": 3307, "REDIS_HOST": "redis"},
        "unset": ["MYSQL_HOST"],
    }


def test_a_setting_that_tutor_does_not_know_is_removed_again() -> None:
    found = {"user_keys": [], "settings": {}}
    assert tutor_record({}, ["mysql"], {"NEW": 1}, found) == {"stores": ["mysql"], "set": {}, "unset": ["NEW"]}
