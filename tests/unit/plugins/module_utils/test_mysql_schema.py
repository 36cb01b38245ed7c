# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.tutorops.scale.plugins.module_utils.mysql_schema import differences, normal

PLAIN = """CREATE TABLE `keyless` (
  `a` int DEFAULT NULL,
  `b` varchar(20) COLLATE utf8mb4_unicode_ci DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci"""
WITH_LAST_KEY = """CREATE TABLE `keyless` (
  `a` int DEFAULT NULL,
  `b` varchar(20) COLLATE utf8mb4_unicode_ci DEFAULT NULL,
  `my_row_id` bigint unsigned NOT NULL AUTO_INCREMENT /*!80023 INVISIBLE */,
  PRIMARY KEY (`my_row_id`)
) ENGINE=InnoDB AUTO_INCREMENT=9 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci"""
WITH_FIRST_KEY = """CREATE TABLE `keyless` (
  `my_row_id` bigint unsigned NOT NULL AUTO_INCREMENT /*!80023 INVISIBLE */,
  `a` int DEFAULT NULL,
  `b` varchar(20) COLLATE utf8mb4_unicode_ci DEFAULT NULL,
  PRIMARY KEY (`my_row_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci"""


def test_an_added_key_and_a_counter_make_no_difference() -> None:
    assert normal(WITH_LAST_KEY) == normal(WITH_FIRST_KEY) == normal(PLAIN) == PLAIN


def test_a_real_key_makes_a_difference() -> None:
    assert normal(WITH_LAST_KEY.replace("my_row_id", "id")) != PLAIN


def test_a_character_set_that_the_collation_names_need_not_be_said() -> None:
    said = PLAIN.replace(
        "COLLATE utf8mb4_unicode_ci DEFAULT", "CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci DEFAULT"
    )
    assert said != PLAIN and normal(said) == PLAIN
    other = said.replace("utf8mb4_unicode_ci DEFAULT NULL", "utf8mb4_bin DEFAULT NULL")
    assert normal(other) != PLAIN


def test_an_event_that_came_by_replication_is_the_same() -> None:
    text = "CREATE EVENT `tidy` ON SCHEDULE EVERY 1 DAY ON COMPLETION NOT PRESERVE {} DO DELETE FROM t"
    assert normal(text.format("ENABLE")) == normal(text.format("DISABLE ON REPLICA"))
    assert normal(text.format("DISABLE")) != normal(text.format("ENABLE"))


def test_differences_are_named_and_tell_no_definition() -> None:
    found = differences(
        {"table a.b": "x", "account app@%": "IDENTIFIED ... 0xSECRET", "view a.v": "v"},
        {"table a.c": "x", "account app@%": "IDENTIFIED ... 0xOTHER", "view a.v": "v"},
    )
    assert [(one.where, one.detail) for one in found] == [
        ("account app@%", "it is defined differently"),
        ("table a.b", "it is missing on the end that follows"),
        ("table a.c", "only the end that follows has it"),
    ]
