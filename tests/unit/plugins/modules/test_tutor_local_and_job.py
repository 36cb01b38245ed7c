# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traps of the real Tutor: services and jobs. Tutor is real, docker only writes down what Tutor asks it for."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.tutor_cli

Run = Callable[..., dict[str, Any]]

QUICK = {"wait_for": "none"}
STARTING = ("up", "stop", "restart", "run")


def acts(lab: Any) -> list[str]:
    """Give those calls of docker that act on containers of `local`, not of `dev`."""
    return [call for call in lab.docker.calls() if call.split()[0] in STARTING and call != "stop"]


def test_started_always_detaches_and_reports_what_the_containers_tell(lab: Any, run_module: Run) -> None:
    lab.docker.define(permissions="p1", lms="h1", caddy="h1")
    planned = run_module("tutor_local", check=True, **lab.options(**QUICK))
    assert planned["changed"] and planned["changes"] == {"started": ["caddy", "lms", "permissions"]}
    assert acts(lab) == []
    answer = run_module("tutor_local", **lab.options())
    assert answer["changed"] and answer["changes"] == {"created": ["caddy", "lms", "permissions"]}
    assert acts(lab) == ["up --remove-orphans -d"]
    again = run_module("tutor_local", **lab.options(services=["lms"], **QUICK))
    assert again["changed"] is False and acts(lab) == ["up --remove-orphans -d lms"]
    assert run_module("tutor_local", check=True, **lab.options())["changed"] is False


def test_started_recreates_and_removes_what_the_new_definition_says(lab22: Any, run_module: Run) -> None:
    lab22.docker.define(lms="h1", mysql="h1")
    run_module("tutor_local", **lab22.options(**QUICK))
    lab22.docker.define(lms="h2")
    planned = run_module("tutor_local", check=True, **lab22.options(**QUICK))
    assert planned["changes"] == {"started": ["lms"], "removed": ["mysql"]}
    answer = run_module("tutor_local", diff=True, **lab22.options(**QUICK))
    assert answer["changes"] == {"recreated": ["lms"], "removed": ["mysql"]}
    assert "tutor_local-mysql-1" in answer["diff"]["before"] and "mysql" not in answer["diff"]["after"]


def test_stopped_acts_only_on_what_runs(lab: Any, run_module: Run) -> None:
    lab.docker.define(lms="h1", caddy="h1")
    run_module("tutor_local", **lab.options(**QUICK))
    acts(lab)
    options = lab.options(state="stopped", services=["lms"])
    assert run_module("tutor_local", check=True, **options)["changes"] == {"stopped": ["lms"]}
    assert run_module("tutor_local", **options)["changes"] == {"stopped": ["lms"]}
    assert acts(lab) == ["stop lms"]
    assert run_module("tutor_local", **options)["changed"] is False
    assert acts(lab) == []


def test_restarted_creates_anew_where_a_restart_would_not_apply_the_change(lab: Any, run_module: Run) -> None:
    lab.docker.define(lms="h1", cms="h1", lms_worker="h1", cms_worker="h1", caddy="h1")
    run_module("tutor_local", **lab.options(**QUICK))
    acts(lab)
    options = lab.options(state="restarted", services=["openedx"], **QUICK)
    answer = run_module("tutor_local", **options)
    assert answer["changes"] == {"started": ["cms", "cms-worker", "lms", "lms-worker"]}
    assert acts(lab) == ["restart lms cms lms-worker cms-worker"]
    lab.docker.define(lms="h2", cms="h1", lms_worker="h1", cms_worker="h1", caddy="h1")
    answer = run_module("tutor_local", **options)
    assert acts(lab) == ["up --remove-orphans -d lms", "restart cms lms-worker cms-worker"]
    assert answer["changes"]["recreated"] == ["lms"]
    assert "The definition of lms had changed" in str(answer["warnings"])


def test_rebooted_stops_and_starts_detached(lab: Any, run_module: Run) -> None:
    lab.docker.define(lms="h1")
    run_module("tutor_local", **lab.options(**QUICK))
    lab.docker.calls()
    answer = run_module("tutor_local", **lab.options(state="rebooted", **QUICK))
    calls = [call for call in lab.docker.calls() if call.split()[0] in STARTING]
    assert answer["changed"] and calls[-2:] == ["stop", "up --remove-orphans -d"]


def test_an_unknown_service_is_named_before_anything_happens(lab22: Any, run_module: Run) -> None:
    lab22.docker.define(lms="h1")
    answer = run_module("tutor_local", **lab22.options(services=["mysql"], **QUICK))
    assert "no service mysql; it has lms" in answer["msg"]
    assert acts(lab22) == []


def test_waiting_names_the_service_that_does_not_keep_running(lab22: Any, run_module: Run) -> None:
    lab22.docker.define(lms="h1", caddy="h1")
    run_module("tutor_local", **lab22.options(**QUICK))
    lab22.docker.define(lms="h1", caddy="h1", cms="h1")
    answer = run_module("tutor_local", **lab22.options(services=["lms"], wait_timeout=20))
    assert answer["changed"] is False and not answer.get("failed")
    state = lab22.docker.read()
    state["containers"]["lms"]["State"]["Status"] = "restarting"
    from ansible_collections.tutorops.scale.plugins.module_utils import tutor_platform

    lab22.docker.write(state)
    with pytest.raises(tutor_platform.TutorError, match="lms did not keep running within 1 s; read `tutor local logs"):
        tutor_platform.await_running(lab22.tutor(), ["lms"], 1.0)


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers as Caddy would: first while the LMS is away, then with it."""

    codes = [502, 502, 200]
    hosts: list[str] = []

    def do_GET(self) -> None:
        self.hosts.append(self.headers["Host"])
        self.send_response(self.codes.pop(0) if len(self.codes) > 1 else self.codes[0])
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_answering_waits_past_server_errors(lab22: Any, run_module: Run) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        lab22.docker.define(lms="h1")
        run_module("tutor_config", **lab22.options(set={"CADDY_HTTP_PORT": server.server_port, "LMS_HOST": "a.test"}))
        answer = run_module("tutor_local", **lab22.options(wait_for="answering"))
        assert not answer.get("failed"), answer
        assert Answers.hosts == ["a.test"] * 3
        from ansible_collections.tutorops.scale.plugins.module_utils import tutor_platform

        Answers.codes = [503]
        with pytest.raises(tutor_platform.TutorError, match="a.test answered 503"):
            tutor_platform.await_answer(lab22.tutor(), 1.0)
    finally:
        server.shutdown()
        server.server_close()


def test_init_shows_no_password_and_tells_where_it_ran(lab: Any, run_module: Run) -> None:
    raw = lab.cli("local", "do", "init", "--limit", "mysql")
    password = lab.config()["MYSQL_ROOT_PASSWORD"]
    assert password in raw.stdout, "the trap itself is gone"
    answer = run_module("tutor_job", **lab.options(job="init", limit="mysql"))
    assert answer["changed"] and answer["services"] == ["mysql"]
    assert "job output" in answer["stdout"]
    assert not any(value in str(answer) for value in (password, lab.config()["OPENEDX_MYSQL_PASSWORD"]))


def test_a_failing_job_tells_the_reason_without_its_script(lab: Any, run_module: Run) -> None:
    lab.docker.change(fail=1)
    answer = run_module("tutor_job", **lab.options(job="init", limit="mysql"))
    assert answer.get("failed") and "Access denied" in answer["msg"] and "status 1" in answer["msg"]
    assert lab.config()["MYSQL_ROOT_PASSWORD"] not in str(answer) and "CREATE DATABASE" not in str(answer)


def test_init_of_an_unknown_name_is_refused_where_tutor_does_nothing(lab: Any, run_module: Run) -> None:
    raw = lab.cli("local", "do", "init", "--limit", "mysq")
    assert raw.returncode == 0 and " run --rm " not in raw.stdout, "the trap itself is gone"
    lab.docker.calls()
    answer = run_module("tutor_job", check=True, **lab.options(job="init", limit="mysq"))
    assert "mysq is neither a service that init knows nor an enabled plugin" in answer["msg"]
    answer = run_module("tutor_job", **lab.options(job="init", limit="notes"))
    assert answer.get("failed") and acts(lab) == []


def test_init_of_a_plugin_without_initialisation_is_no_success(lab22: Any, run_module: Run) -> None:
    run_module("tutor_plugin", **lab22.options(name="zz", content="from tutor import hooks\n"))
    answer = run_module("tutor_job", **lab22.options(job="init", limit="zz"))
    assert answer.get("failed") and "ran nothing for zz" in answer["msg"]


def test_createuser_gets_its_password_by_stdin(lab: Any, run_module: Run) -> None:
    options = lab.options(job="createuser", args=["--staff", "ada", "ada@example.com"])
    assert "give it as `stdin`" in run_module("tutor_job", **options)["msg"]
    answer = run_module("tutor_job", **options, stdin="pa55 'w{o}rd\n")
    assert not answer.get("failed"), answer
    assert answer["services"] == ["lms"] and "pa55" not in str(answer)
    assert any("pa55" in call for call in lab.docker.calls())


def test_check_mode_runs_no_job_and_reading_is_no_change(lab22: Any, run_module: Run) -> None:
    assert run_module("tutor_job", check=True, **lab22.options(job="init", limit="lms"))["changed"] is True
    assert acts(lab22) == []
    options = lab22.options(job="print-edx-platform-setting", args=["LMS_BASE"])
    assert run_module("tutor_job", **options)["changed"] is False
    assert "no `limit`" in run_module("tutor_job", **lab22.options(job="importdemocourse", limit="lms"))["msg"]
    assert "as `limit`" in run_module("tutor_job", **lab22.options(job="init", args=["--limit=lms"]))["msg"]


def test_jobs_that_do_nothing_without_tutors_own_mysql_are_refused(lab: Any, run_module: Run) -> None:
    if lab.major < 19:
        pytest.skip("these jobs came with Tutor 19")
    run_module("tutor_config", **lab.options(set={"RUN_MYSQL": False}))
    raw = lab.cli("local", "do", "update-mysql-authentication-plugin", "openedx")
    assert raw.returncode == 0 and " run --rm " not in raw.stdout, "the trap itself is gone"
    answer = run_module("tutor_job", **lab.options(job="update-mysql-authentication-plugin", args=["openedx"]))
    assert "does nothing while RUN_MYSQL is false" in answer["msg"]


def test_docker_status_is_not_lost(lab: Any) -> None:
    from ansible_collections.tutorops.scale.plugins.module_utils.tutor import TutorError

    lab.docker.define(lms="h1")
    with pytest.raises(TutorError, match="no such service: nothing docker ended with status 1"):
        lab.tutor().run("local", "stop", "nothing")
