#!/usr/bin/env python3
"""Traffic on the lab's platform, and the ledger of what it acknowledged.

    traffic.py run --target ADDRESS --output DIR    send until SIGTERM, SIGINT or --seconds, then audit
    traffic.py start --target ADDRESS --output DIR  the same in the background; returns when requests succeed
    traffic.py stop --output DIR                    end what runs, wait for its audit, show the result
    traffic.py mark --output DIR --label TEXT       note that something begins, such as a stage of a playbook
    traffic.py audit --output DIR                   audit (again) what a run left, also one that was killed
    traffic.py table --output DIR                   show the result, or a run that is still under way

Exit code 0: no request failed, no acknowledged write is lost or duplicated, every learner who logged in still is, and
no row points at what another store does not have; 1: otherwise; 2: it could not be told.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

from trafficlib import mix
from trafficlib.audit import audit
from trafficlib.clock import now
from trafficlib.errors import TrafficError
from trafficlib.load import Load
from trafficlib.records import Records, Run
from trafficlib.summary import good, summarize
from trafficlib.table import render
from trafficlib.web import Target

_PROGRESS_SECONDS = 5.0
_START_SECONDS = 60.0


def run(options: argparse.Namespace) -> int:
    """Send traffic, wait for what is in flight, audit."""
    mix.choose(options.stores)
    _allow_sockets(int(options.rate * min(options.timeout, options.seconds or options.timeout)) + 100)
    records = Records(options.output)
    with records.held():
        prefix = f"{secrets.token_hex(4)}-"
        records.begin(Run(options.target, options.rate, options.stores, options.timeout, prefix, now()))
        asyncio.run(_send(records, options.seconds, options.ready_file))
        return reckon(options)


def start(options: argparse.Namespace) -> int:
    """Send in the background; nothing where it does so already."""
    records = Records(options.output)
    if records.runner():
        return 0
    ready: Path = options.ready_file or options.output / "ready"
    ready.unlink(missing_ok=True)
    options.output.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, "run", *options.arguments[1:], f"--ready-file={ready}"]
    with (options.output / "run.log").open("w", encoding="utf-8") as log:
        runner = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    deadline = now() + _START_SECONDS
    while not ready.exists():
        if runner.poll() is not None or now() > deadline:
            runner.terminate()
            raise TrafficError(
                f"{options.target} did not answer a second's requests with success within {_START_SECONDS:.0f} s: "
                f"see `traffic.py table --output {options.output}` and {log.name}"
            )
        time.sleep(0.05)
    return 0


def stop(options: argparse.Namespace) -> int:
    """End the run that is under way; audit one that died before it could."""
    records = Records(options.output)
    if runner := records.runner():
        os.kill(runner, signal.SIGTERM)
    records.wait_over()
    return table(options) if records.result() else reckon(options)


def abandon(options: argparse.Namespace) -> int:
    """End the run that is under way at once, as before its lab is removed; nothing is audited."""
    records = Records(options.output)
    if runner := records.runner():
        os.kill(runner, signal.SIGKILL)
    records.wait_over()
    return 0


def reckon(options: argparse.Namespace) -> int:
    """Audit the ledger of a run, save the result and show it."""
    records = Records(options.output)
    requests = records.requests()
    accounts = asyncio.run(audit(records.run(), requests, options.patience))
    records.save_result(summarize(records.run(), requests, records.marks(), accounts))
    return table(options)


def mark(options: argparse.Namespace) -> int:
    """Append a mark."""
    Records(options.output).mark(options.label)
    return 0


def table(options: argparse.Namespace) -> int:
    """Show the result of a run."""
    records = Records(options.output)
    result = records.result() or summarize(records.run(), records.requests(), records.marks(), None)
    print(render(result))
    if result["ledger"] is None:
        return 2
    return 0 if good(result) else 1


async def _send(records: Records, seconds: float | None, ready_file: Path | None) -> None:
    with records.journal() as journal:
        load = Load(records.run(), journal)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, load.stop.set)
        if ready_file:
            ready_file.parent.mkdir(parents=True, exist_ok=True)
        companions = [asyncio.create_task(_announce(load, ready_file))]
        if sys.stderr.isatty():
            companions.append(asyncio.create_task(_show_progress(load)))
        try:
            await load.send(seconds)
        finally:
            for companion in companions:
                companion.cancel()


async def _announce(load: Load, ready_file: Path | None) -> None:
    await load.under_way.wait()
    if ready_file:
        ready_file.touch()


async def _show_progress(load: Load) -> None:
    start = now()
    while True:
        await asyncio.sleep(_PROGRESS_SECONDS)
        waits = max((now() - request.scheduled for request in load.waiting.values()), default=0.0)
        print(
            f"{now() - start:6.0f} s: {load.over:,} requests, {load.failed:,} failed, {len(load.waiting):,} in flight, "
            f"longest stall {max(waits, load.longest_stall):.2f} s",
            file=sys.stderr,
        )


def _allow_sockets(needed: int) -> None:
    """Requests that hang hold a socket each until they time out, while others keep coming."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise TrafficError(
                f"up to {needed} sockets are needed at this --rate and --timeout, and {hard} are allowed here: "
                "lower them, or raise `ulimit -Hn`"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _stores(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _target(text: str) -> str:
    Target.parse(text)
    return text


def _positive(text: str) -> float:
    if (number := float(text)) <= 0:
        raise ValueError(text)
    return number


_COMMANDS = {
    "run": run,
    "start": start,
    "stop": stop,
    "abandon": abandon,
    "mark": mark,
    "audit": reckon,
    "table": table,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    parsers = {}
    for name, action in _COMMANDS.items():
        parsers[name] = commands.add_parser(name, help=action.__doc__)
        parsers[name].set_defaults(action=action)
        parsers[name].add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the run")
    for sending in (parsers["run"], parsers["start"]):
        _add_sending(sending)
    for name in ("run", "start", "stop", "audit"):
        parsers[name].add_argument(
            "--patience",
            type=_positive,
            default=120.0,
            help="seconds that an audit waits for queued tasks and for a platform that does not answer (%(default)s)",
        )
    parsers["mark"].add_argument("--label", required=True, help="what begins")
    return parser


def _add_sending(sending: argparse.ArgumentParser) -> None:
    sending.add_argument("--target", type=_target, required=True, help="address of the platform's web server")
    sending.add_argument("--rate", type=_positive, default=50.0, help="arrivals per second (%(default)s)")
    sending.add_argument("--seconds", type=_positive, help="stop after so long; without it a signal stops")
    sending.add_argument("--timeout", type=_positive, default=65.0, help="seconds per request (%(default)s)")
    sending.add_argument(
        "--stores",
        type=_stores,
        default=mix.DEFAULT_STORES,
        metavar="STORE,...",
        help=f"of {', '.join(mix.HOSTS)} (default {','.join(mix.DEFAULT_STORES)})",
    )
    sending.add_argument("--ready-file", type=Path, metavar="FILE", help="touched once a second's requests succeeded")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a failure that the client understands is one sentence."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(arguments, argparse.Namespace(arguments=arguments))
    try:
        code: int = options.action(options)
    except TrafficError as error:
        print(f"traffic: {error}", file=sys.stderr)
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
