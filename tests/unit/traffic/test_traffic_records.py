"""What a run leaves behind outlives it: killed, stopped, marked, audited again, shown."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import traffic
from fake_platform import FakePlatform, Fault
from trafficlib.records import Records


def spawn(platform: FakePlatform, output: Path, *options: str) -> subprocess.Popen[str]:
    """Run the client in a process of its own, and wait for its first hundred requests."""
    where = ["--target", platform.target, "--output", str(output)]
    command = [sys.executable, traffic.__file__, "run", *where, "--rate", "400", "--timeout", "2", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    wait_for(lambda: len(platform.calls) > 100)
    return process


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def result_of(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "traffic.json").read_text())
    return found


def test_a_killed_client_leaves_records_to_audit(tmp_path: Path) -> None:
    output = tmp_path / "run"
    with FakePlatform() as platform:
        process = spawn(platform, output)
        process.kill()
        process.communicate()
        writes = [one for one in Records(output).requests() if one.action == "write" and one.succeeded]
        with (output / "requests.jsonl").open("a") as file:
            file.write('{"number": 99999, "act')  # The kill came amid a line.
        assert traffic.main(["stop", "--output", str(output)]) == 0
        assert result_of(output)["ledger"]["acknowledged"] == len(writes) > 20
        del platform.rows[writes[0].store][writes[0].key]
        platform.rows[writes[1].store][writes[1].key] += 1
        assert traffic.main(["table", "--output", str(output)]) == 0, "a table shows the audit that was"
        assert traffic.main(["audit", "--output", str(output), "--patience", "0.1"]) == 1
    ledger = result_of(output)["ledger"]
    assert (ledger["lost_keys"], ledger["duplicated_keys"]) == ([writes[0].key], [writes[1].key])


def test_what_was_in_flight_at_a_kill_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "run"
    with FakePlatform() as platform:
        process = spawn(platform, output)
        platform.stall(60)
        before = len(platform.calls)
        wait_for(lambda: len(platform.calls) > before + 50)
        process.kill()
        process.communicate()
    traffic.main(["table", "--output", str(output)])
    assert "requests were in flight when the client ended" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_arrivals_and_waits_for_what_is_in_flight(tmp_path: Path, number: signal.Signals) -> None:
    output = tmp_path / "run"
    with FakePlatform() as platform:
        process = spawn(platform, output)
        platform.stall(0.5)
        before = len(platform.calls)
        wait_for(lambda: len(platform.calls) > before + 20)
        process.send_signal(number)
        shown, _ = process.communicate(timeout=10)
    figures = result_of(output)["traffic"]
    assert process.returncode == 0
    assert (figures["failed"], figures["unfinished"]) == (0, 0)
    assert figures["longest_stall_seconds"] > 0.2
    assert "acknowledged" in shown


def test_start_and_stop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakePlatform() as platform:
        start = ["start", "--target", platform.target, "--output", str(tmp_path), "--rate", "100"]
        assert traffic.main(start) == 0
        prefix = Records(tmp_path).run().prefix
        assert traffic.main(start) == 0
        assert traffic.main(["run", *start[1:], "--seconds", "0.1"]) == 2
        assert "is under way" in capsys.readouterr().err
        assert Records(tmp_path).run().prefix == prefix, "a second start must leave the first alone"
        assert traffic.main(["stop", "--output", str(tmp_path)]) == 0
        assert Records(tmp_path).runner() is None
        assert result_of(tmp_path)["traffic"]["requests"] >= 100
        traffic.main(["mark", "--output", str(tmp_path), "--label", "of the first run"])
        assert traffic.main(["run", *start[1:], "--seconds", "0.1"]) == 0, "a folder may be used again"
    result = result_of(tmp_path)
    assert (result["traffic"]["requests"], len(result["intervals"])) == (10, 1)


def test_a_run_that_nobody_ended_is_abandoned(tmp_path: Path) -> None:
    with FakePlatform() as platform:
        assert traffic.main(["start", "--target", platform.target, "--output", str(tmp_path), "--rate", "100"]) == 0
        assert Records(tmp_path).runner() is not None
        assert traffic.main(["abandon", "--output", str(tmp_path)]) == 0
        assert Records(tmp_path).runner() is None
    assert traffic.main(["abandon", "--output", str(tmp_path / "none")]) == 0, "where there was no run there is none"


def test_start_refuses_a_platform_that_only_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "_START_SECONDS", 1.3)
    with FakePlatform(lambda call, number: Fault.REFUSE) as platform:
        arguments = ["--target", platform.target, "--output", str(tmp_path), "--patience", "0.1"]
        assert traffic.main(["start", *arguments]) == 2
        Records(tmp_path).wait_over()
    assert f"{platform.target} did not answer" in capsys.readouterr().err


def test_marks_part_a_run_into_intervals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "run"
    with FakePlatform() as platform:
        # A request belongs where it was due: few at a time, so that a busy machine does not send them much later.
        process = spawn(platform, output, "--rate", "100")
        for label in ("cutover of mysql", "after it"):
            assert traffic.main(["mark", "--output", str(output), "--label", label]) == 0
            before = len(platform.calls)
            wait_for(lambda before=before: len(platform.calls) > before + 20)  # type: ignore[misc]
        process.terminate()
        process.communicate()
    result = result_of(output)
    intervals = result["intervals"]
    assert [one["label"] for one in intervals] == ["start", "cutover of mysql", "after it"]
    assert sum(one["requests"] for one in intervals) == result["traffic"]["requests"]
    assert min(one["requests"] for one in intervals) > 0
    traffic.main(["table", "--output", str(output)])
    assert "cutover of mysql" in capsys.readouterr().out


def test_the_table_names_what_went_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def lose_first(number: int) -> Fault | None:
        return {1: Fault.LOSE, 2: Fault.DUPLICATE, 3: Fault.KEEP_AND_REFUSE}.get(number)

    with FakePlatform(lambda call, number: lose_first(number) if call.method == "POST" else None) as platform:
        options = ["--stores", "mysql", "--rate", "200", "--seconds", "0.2", "--patience", "0.1"]
        traffic.main(["run", "--target", platform.target, "--output", str(tmp_path), *options])
    shown = capsys.readouterr().out
    lost, duplicated, _ = platform.posted()[:3]
    for line in (f"Lost in mysql: {lost}", f"Duplicated in mysql: {duplicated}", "present although refused: 1"):
        assert line in shown
    assert "1 status 502" in shown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "--target", "127.0.0.1", "--stores", "oracle"], "--stores names oracle: choose from mysql"),
        (["run", "--target", "127.0.0.1", "--stores", ","], "--stores names none"),
        (["mark", "--label", "x"], "holds no run"),
        (["audit"], "holds no run"),
        (["stop"], "holds no run"),
        (["table"], "holds no run"),
    ],
)
def test_refusals_are_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert traffic.main([*arguments, "--output", str(tmp_path)]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "run.json").exists()


def test_too_few_sockets_are_refused_before_anything_is_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 1024))
    assert traffic.main(["run", "--target", "127.0.0.1:1", "--output", str(tmp_path)]) == 2
    assert "ulimit" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []
