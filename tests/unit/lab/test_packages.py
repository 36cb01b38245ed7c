"""The packages under the vendor's names have what the vendor's have, as far as roles count on it."""

from __future__ import annotations

import configparser
import os
import subprocess
from pathlib import Path

import pytest

PACKAGES = Path(__file__).resolve().parents[3] / "molecule" / "shared" / "images" / "repository"
SERVER = PACKAGES / "mysql-community-server"


@pytest.mark.parametrize("script", sorted(SERVER.glob("DEBIAN/p*")), ids=lambda path: path.name)
def test_maintainer_scripts_run_by_a_posix_shell(script: Path) -> None:
    assert os.access(script, os.X_OK)
    subprocess.run(["sh", "-n", str(script)], check=True)


@pytest.mark.parametrize("package", ["mysql-community-server", "mysql-community-client"])
def test_control_files_name_their_package_and_leave_the_version_open(package: str) -> None:
    text = (PACKAGES / package / "DEBIAN" / "control").read_text()
    assert f"Package: {package}\n" in text
    assert "Version: @VERSION@\n" in text
    assert "(= @CORE@)" in text


def test_conffiles_are_shipped() -> None:
    for line in (SERVER / "DEBIAN" / "conffiles").read_text().split():
        assert (SERVER / line.lstrip("/")).is_file()


def test_the_unit_restarts_a_server_that_ended_to_be_restarted() -> None:
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(SERVER / "usr" / "lib" / "systemd" / "system" / "mysql.service")
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["Restart"] == "on-failure"
    assert service["RestartForceExitStatus"] == "16"
    assert service["Environment"] == "MYSQLD_PARENT_PID=1"
    assert (service["User"], service["RuntimeDirectory"]) == ("mysql", "mysqld")
