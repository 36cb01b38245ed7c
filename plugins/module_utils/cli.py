# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `tutorops` on the app server. Units call it; an operator needs only `tutorops status`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from . import follower as following
from .docker import Docker
from .edge import Edge, EdgeError, EdgeSettings, read_pointer
from .edge_service import EdgeService
from .flip_marker import FlipMarker
from .paths import PATHS, Paths, read_json
from .probes import probes, tends
from .request_hold import RequestHold
from .stage import Options, Runner, Signals, Stopped, known_stores, slow_motion
from .stage_unit import READING, STAGES, owner_lives
from .stores.base import StoreError


def main(arguments: Sequence[str] | None = None, paths: Paths = PATHS) -> int:
    """Run one command; 0 when it worked."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        return int(given.command(given, paths) or 0)
    except (StoreError, OSError) as problem:
        print(f"tutorops: {problem}", file=sys.stderr)
        return 1
    except (Stopped, KeyboardInterrupt):
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tutorops", description="What the stores of this app server are doing.")
    commands = parser.add_subparsers(required=True, metavar="command")
    status = commands.add_parser("status", help="where every store stands")
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(command=_status)
    stage = commands.add_parser("stage", help="run one stage of one store (playbooks do that, through systemd)")
    stage.add_argument("store", help="the store, or store:stage as a unit is called")
    stage.add_argument("stage", nargs="?", choices=STAGES)
    stage.add_argument("--again", action="store_true", help="cut over after a deliberate rollback")
    stage.set_defaults(command=_stage)
    recover = commands.add_parser("recover", help="finish or undo an interrupted flip")
    which = recover.add_mutually_exclusive_group(required=True)
    which.add_argument("store", nargs="?")
    which.add_argument("--all", action="store_true", help="of every store")
    recover.add_argument("--seconds", type=float, default=600.0, help="how long to try (default: %(default)s)")
    recover.set_defaults(command=_recover)
    commands.add_parser("follower", help="keep the edge true (a service)").set_defaults(command=_follower)
    commands.add_parser("edge-start", help="make the edge ready to start (its unit does that)").set_defaults(
        command=_start
    )
    idle = commands.add_parser("edge-idle", help="wait until no flip is under way (before a reload of the edge)")
    idle.add_argument("--seconds", type=float, default=60.0, help="how long (default: %(default)s)")
    idle.set_defaults(command=_idle)
    take = commands.add_parser("edge-apply", help="have the edge's services run with what is on the disk")
    take.add_argument("--check", action="store_true", help="only say what would be done")
    take.set_defaults(command=_apply)
    check = commands.add_parser("edge-check", help="fail, with the reason, unless every store is served")
    check.add_argument("--seconds", type=float, default=15.0, help="how long it may take (default: %(default)s)")
    check.set_defaults(command=_check)
    return parser


def _stage(given: argparse.Namespace, paths: Paths) -> int:
    store, _, named = given.store.partition(":")
    stage = given.stage or named
    if stage not in STAGES:
        raise StoreError(f"name a stage of store {store}: one of {', '.join(STAGES)}")
    signals = Signals()
    signals.install()
    runner = Runner(store, paths, signals=signals, slow_motion=slow_motion())
    # A request from the controller is for the unit; who runs a stage by hand says everything on the command line.
    options = Options(again=True) if given.again else None
    outcome = runner.run(stage, options)
    print(json.dumps(outcome, indent=2 if sys.stdout.isatty() else None, default=str))
    return 0 if outcome["ok"] or outcome["postponed"] else 1


def _recover(given: argparse.Namespace, paths: Paths) -> int:
    failed = 0
    for name in known_stores(paths) if given.all else [given.store.partition(":")[0]]:
        try:
            serving = Runner(name, paths).recover(given.seconds)
            if serving:
                print(f"store {name}: the interrupted flip is settled, the {serving} end serves")
        except StoreError as problem:
            failed = 1
            print(f"tutorops: {problem}", file=sys.stderr)
    return failed


def _follower(given: argparse.Namespace, paths: Paths) -> int:
    settings = EdgeSettings.load(paths)
    following.run(
        following.Follower(
            settings,
            Edge(paths.socket),
            Docker(),
            paths,
            probes(settings, paths),
            tends(settings, paths, following.say),
            RequestHold(settings, paths).tidy,
        )
    )
    return 0


def _start(given: argparse.Namespace, paths: Paths) -> int:
    EdgeService(paths).prepare_start()
    return 0


def _idle(given: argparse.Namespace, paths: Paths) -> int:
    EdgeService(paths).prepare_reload(given.seconds)
    return 0


def _apply(given: argparse.Namespace, paths: Paths) -> int:
    for line in EdgeService(paths).apply(check=given.check):
        print(line)
    return 0


def _check(given: argparse.Namespace, paths: Paths) -> int:
    EdgeService(paths).check(given.seconds)
    return 0


def _status(given: argparse.Namespace, paths: Paths) -> int:
    settings = EdgeSettings.load(paths)
    stores = {name: _stands(name, paths) for name in settings.stores}
    if given.json:
        print(json.dumps(stores, indent=2, default=str))
    else:
        for name, one in stores.items():
            print("\n".join(_lines(name, one)))
    return 0


def _stands(name: str, paths: Paths) -> dict[str, Any]:
    """What is known about a store, also when its driver or the edge does not answer."""
    one: dict[str, Any] = {"pointer": None, "trouble": []}
    try:
        one["pointer"] = read_pointer(paths.pointer(name), name)
        edge = Edge(paths.socket)
        one["held"] = edge.held(name)
        one["connections"] = int(edge.frontend(name)["scur"])
        backends = (f"{name}_local", f"{name}_cluster", f"{name}_source")
        one["servers"] = {
            f"{server.backend}/{server.name}": {
                "address": f"{server.address}:{server.port}",
                "up": server.up and not server.maintenance,
            }
            for server in edge.servers(*backends)
        }
    except EdgeError as problem:
        one["trouble"].append(str(problem))
    one["flip_under_way"] = FlipMarker.read(paths.flip(name)) is not None
    one["running"] = [stage for stage in STAGES if stage not in READING and _runs(paths, name, stage)]
    if name in known_stores(paths):
        outcome = Runner(name, paths).look()
        one["trouble"] += [outcome["error"]] if outcome["error"] else []
        one.update({key: value for key, value in outcome["result"].items() if key not in one})
    return one


def _runs(paths: Paths, name: str, stage: str) -> bool:
    found = read_json(paths.progress(name, stage))
    return found is not None and owner_lives(found)


def _lines(name: str, one: dict[str, Any]) -> list[str]:
    lines = [f"{name}: served by the {one['pointer']} end" + (f", stage {one['stage']}" if one.get("stage") else "")]
    if one.get("held"):
        lines.append("  new connections are held")
    if one["flip_under_way"]:
        lines.append("  a flip is under way, or was interrupted: tutorops recover " + name)
    lines += [f"  runs now: {stage}" for stage in one["running"]]
    lines += [
        f"  {server}: {state['address']} {'up' if state['up'] else 'down'}"
        for server, state in one.get("servers", {}).items()
    ]
    skip = {"pointer", "stage", "held", "flip_under_way", "running", "servers", "trouble"}
    lines += [f"  {key}: {json.dumps(value, default=str)}" for key, value in one.items() if key not in skip]
    lines += [f"  trouble: {trouble}" for trouble in one["trouble"]]
    return lines


if __name__ == "__main__":
    sys.exit(main())
