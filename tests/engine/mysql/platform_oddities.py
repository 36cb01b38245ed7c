# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a copy row by row could lose: values, characters and settings that do not survive a careless one."""

from __future__ import annotations

from ansible_collections.tutorops.scale.plugins.module_utils.mysql_client import Connection

_STATEMENTS = (
    "INSERT INTO mysql.time_zone (time_zone_id, use_leap_seconds) VALUES (7, 'N')",
    "INSERT INTO mysql.time_zone_name VALUES ('Here/There', 7)",
    "INSERT INTO mysql.time_zone_transition_type VALUES (7, 0, 4500, 0, 'HT')",
    "CREATE DATABASE `odd``names-\u00e4` CHARACTER SET latin1",
    "USE `odd``names-\u00e4`",
    "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'",
    "CREATE TABLE `t``ab le` (`i``d` INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, `select` FLOAT, small TINYINT(1),"
    " big BIGINT UNSIGNED, exact DECIMAL(65,30), e ENUM('', 'b', '\u00e4''\\\\'), s SET('x','y','z'), j JSON,"
    " l VARCHAR(60), u VARCHAR(60) CHARACTER SET utf16, g VARCHAR(60) CHARACTER SET gbk, raw VARBINARY(300),"
    " fixed BINARY(4), b64 BIT(64), t TIME(6),"
    " d DATE, dt DATETIME, ts TIMESTAMP(6) NULL, y YEAR, place POINT SRID 4326,"
    " text TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, hidden INT INVISIBLE DEFAULT 7,"
    " made VARCHAR(80) AS (CONCAT(l, '!')) STORED,"
    " shown VARCHAR(80) AS (CONCAT(l, '?')) VIRTUAL, KEY (made), KEY (text(20))) AUTO_INCREMENT = 77",
    "INSERT INTO `t``ab le` (`i``d`, `select`, small, big, exact, e, s, j, l, u, g, raw, fixed, b64, t, d, dt, ts, y,"
    " place, text, hidden) VALUES (0, 1e0/3, -1, 18446744073709551615, 12345678901234567890.123456789, 0, 7,"
    ' \'{"a": [1.5, null, "q\\\\"\u00e4"], "\U0001f393": 12345678901234567890}\', _latin1 0xE93C27,'
    " _utf16 0xD83DDE00005C0027, _gbk 0xB65C27, 0x00270A5C1AE39F5C, 0x0000, 0xFFFFFFFFFFFFFFFF,"
    " '-838:59:59.000000', '0000-00-00', '2026-02-31 00:00:00',"
    " '2038-01-19 03:14:07.999999', 0, ST_SRID(POINT(1, 2), 4326), 'a\\\\''\\\"\\n\\0', NULL),"
    " (4294967295, -1.17549e-38, NULL, 0, -0.000000000000000000000000000001, 'b', '', 'null', '', '', '', '', '', 0,"
    " NULL, '9999-12-31', NULL, NULL, 2155, NULL, '', 0)",
    # Long after its first column, and more than one statement.
    "CREATE TABLE large (id INT PRIMARY KEY, body LONGBLOB, note LONGTEXT)",
    "INSERT INTO large VALUES (1, REPEAT(0x5C27, 20000000), REPEAT('\u00e4\\\\''', 1000000)), (2, NULL, '')",
    "CREATE TABLE parent (a INT, b VARCHAR(5) CHARACTER SET ascii, PRIMARY KEY (b, a))",
    "CREATE TABLE child (id INT PRIMARY KEY, a INT, b VARCHAR(5) CHARACTER SET ascii,"
    " CONSTRAINT `to``parent` FOREIGN KEY (b, a) REFERENCES parent (b, a) ON DELETE CASCADE)",
    "INSERT INTO parent VALUES (1, 'x'), (2, 'x')",
    "INSERT INTO child VALUES (1, 1, 'x'), (2, NULL, NULL)",
    "CREATE TABLE parts (id INT PRIMARY KEY, v INT) PARTITION BY HASH (id) PARTITIONS 3",
    "INSERT INTO parts VALUES (1, 1), (2, 2), (3, 3)",
    # Views on views and functions, in an order that is not that of their names.
    "CREATE VIEW a_first AS SELECT id, v * 2 AS w FROM z_last",
    "CREATE FUNCTION twice(x INT) RETURNS INT DETERMINISTIC RETURN x * 2",
    "CREATE VIEW m_middle AS SELECT id, `odd``names-\u00e4`.twice(v) AS v FROM parts",
    # Made with other settings than ours.
    "SET NAMES latin1",
    "SET SESSION sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT'",
    'CREATE PROCEDURE told() SELECT "v" || \'-\', _latin1 0xE9 AS "\xe9" FROM parts',
    "SET NAMES utf8mb4",
    "SET SESSION sql_mode = '', time_zone = '+03:00'",
    "CREATE EVENT yearly ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01 00:00:00' COMMENT 'it''s' DO DELETE FROM parts",
    "CREATE TRIGGER second BEFORE INSERT ON parts FOR EACH ROW SET NEW.v = NEW.v + 1",
    "CREATE TRIGGER first BEFORE INSERT ON parts FOR EACH ROW PRECEDES second SET NEW.v = NEW.v * 2",
    "CREATE DEFINER = gone@nowhere PROCEDURE orphan() SELECT 1",
    "CREATE ROLE teacher, 'odd `role'@'10.%'",
    "GRANT SELECT ON openedx.* TO teacher",
    "CREATE USER 'q`u''o'@'10.0.0.%' IDENTIFIED BY 'p\\\\''\"w' REQUIRE SSL WITH MAX_USER_CONNECTIONS 5 COMMENT 'c''x'",
    "CREATE USER locked@localhost ACCOUNT LOCK PASSWORD EXPIRE INTERVAL 9 DAY",
    "GRANT teacher, 'odd `role'@'10.%' TO 'q`u''o'@'10.0.0.%'",
    "SET DEFAULT ROLE teacher TO 'q`u''o'@'10.0.0.%'",
    "GRANT SELECT (id), UPDATE (id) ON `odd``names-\u00e4`.parts TO locked@localhost WITH GRANT OPTION",
    "GRANT EXECUTE ON PROCEDURE openedx.touch TO locked@localhost",
    "GRANT RELOAD, BACKUP_ADMIN ON *.* TO locked@localhost",
)


def add_oddities(connection: Connection) -> None:
    """Make databases, rows, programs and accounts that are hard to copy."""
    for statement in _STATEMENTS:
        if statement.startswith("CREATE VIEW a_first"):
            continue
        connection.execute(statement.encode("latin1") if "\xe9 AS" in statement else statement)
    connection.execute("SET NAMES utf8mb4")
    connection.execute("CREATE VIEW z_last AS SELECT id, v FROM m_middle")
    connection.execute(next(one for one in _STATEMENTS if one.startswith("CREATE VIEW a_first")))
