# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small platform's data, with what makes copies and comparisons hard."""

from __future__ import annotations

from ansible_collections.tutorops.scale.plugins.module_utils.mysql_client import Connection

_STATEMENTS = (
    "CREATE DATABASE openedx CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
    "CREATE DATABASE notes",
    "CREATE USER openedx@'%' IDENTIFIED BY 'app'",
    "GRANT ALL ON openedx.* TO openedx@'%'",
    "GRANT ALL ON notes.* TO openedx@'%'",
    "CREATE TABLE openedx.entries (id BIGINT PRIMARY KEY AUTO_INCREMENT, number INT NOT NULL, KEY (number))",
    "CREATE TABLE openedx.grades (course VARCHAR(40), student INT, block VARBINARY(8), grade DECIMAL(10,4), weight "
    "FLOAT,"
    " ratio DOUBLE, changed DATETIME(6), seen TIMESTAMP NULL, flags BIT(5), PRIMARY KEY (course, student, block))",
    "CREATE TABLE openedx.state (id INT PRIMARY KEY AUTO_INCREMENT, content JSON, body LONGTEXT, picture BLOB, kind"
    " ENUM('a','b'), place POINT, size INT AS (LENGTH(body)) VIRTUAL)",
    "CREATE TABLE openedx.keyless (a INT, b VARCHAR(20))",
    "CREATE TABLE notes.note (id CHAR(36) PRIMARY KEY, text TEXT CHARACTER SET latin1)",
    "CREATE VIEW openedx.best AS SELECT course, MAX(grade) AS grade FROM openedx.grades GROUP BY course",
    "CREATE PROCEDURE openedx.touch() INSERT INTO openedx.keyless VALUES (0, 'touched')",
    "CREATE FUNCTION openedx.half(x INT) RETURNS INT DETERMINISTIC RETURN x / 2",
    "CREATE TRIGGER openedx.count_notes AFTER INSERT ON openedx.state FOR EACH ROW"
    " INSERT INTO openedx.keyless VALUES (NEW.id, 'state')",
    "CREATE EVENT openedx.tidy ON SCHEDULE EVERY 1 DAY DO DELETE FROM openedx.keyless WHERE a < 0",
)


def fill(connection: Connection, bulk: int = 4096) -> None:
    """Make databases, accounts and rows; ``bulk`` is the number of rows of the largest table."""
    for statement in _STATEMENTS:
        connection.execute(statement)
    connection.execute("SET SESSION cte_max_recursion_depth = 10000000")
    numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s)"
    connection.execute(
        "INSERT INTO openedx.grades "
        + numbers
        + " SELECT CONCAT('course ', i MOD 7), i, UNHEX(LPAD(HEX(i), 8, '0')), i / 7,"
        " i / 3, SQRT(i), '2026-01-01' + INTERVAL i SECOND, IF(i MOD 5, FROM_UNIXTIME(1700000000 + i), NULL), i MOD "
        "32 FROM n",
        (bulk,),
    )
    connection.execute(
        "INSERT INTO openedx.state (content, body, picture, kind, place) "
        + numbers
        + " SELECT JSON_OBJECT('i', i, 'list',"
        " JSON_ARRAY(i, NULL, 1.5)), CONCAT(REPEAT('text \U0001f393 ', 100), i), RANDOM_BYTES(900), IF(i MOD 2, 'a', "
        "'b'),"
        " POINT(i, i) FROM n",
        (bulk // 4,),
    )
    connection.execute(
        "INSERT INTO notes.note " + numbers + " SELECT UUID(), CONCAT('caf\u00e9 ', i) FROM n", (bulk // 8,)
    )
