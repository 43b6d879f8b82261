#!/usr/bin/env python3
"""Compares warren with a raw librabbitmq loop and with Celery, side by side on private servers. See README.md."""
import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../deploy/private"))

import measure  # noqa: E402
import report  # noqa: E402
import systems  # noqa: E402
from warren_servers import Failed, Servers  # noqa: E402

PHASES = ("consume", "cost", "publish", "memory", "start")
SECONDS, SECONDS_QUICK = 5.0, 1.5
MEMORY_SLOTS = START_SLOTS = COST_SLOTS = 8
START_ROUNDS = 3


def arguments():
    p = argparse.ArgumentParser(prog="bench.py", description=__doc__)
    p.add_argument("--builddir", default="build", help="where warren, rawloop and noop.so were built (default: build)")
    p.add_argument("--output", default=None, help="the JSON file (default: bench.json in the build folder)")
    p.add_argument("--only", default=",".join(PHASES), help="any of consume,cost,publish,memory,start")
    p.add_argument("--slots", default="1,2,8,32", help="slots of the consuming cases")
    p.add_argument("--systems", default="raw,warren-c,warren-py,warren-celery,celery", help="any of these")
    p.add_argument("--rounds", type=int, help="each case so many times, in turn (default: 2, with --quick 1)")
    p.add_argument("--quick", action="store_true", help="1 and 8 slots, one short round: does it work, not how fast is it")
    p.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    a = p.parse_args()
    a.builddir = os.path.abspath(a.builddir)
    a.output = os.path.abspath(a.output or os.path.join(a.builddir, "bench.json"))
    if a.quick:
        a.rounds = 1 if a.rounds is None else a.rounds
        if a.slots == p.get_default("slots"):
            a.slots = "1,8"
    if a.rounds is None:
        a.rounds = 2
    a.only, a.systems = a.only.split(","), a.systems.split(",")
    try:
        a.slots = [int(s) for s in a.slots.split(",")]
    except ValueError:
        p.error("--slots: whole numbers with commas between them, for example 1,8")
    if not a.slots or min(a.slots) < 1 or a.rounds < 1:
        p.error("--slots and --rounds start at 1")
    for what, given, known in (("--only", a.only, PHASES), ("--systems", a.systems, tuple(systems.GUESS))):
        for word in given:
            if word not in known:
                p.error("%s: %s is not one of %s" % (what, word, ",".join(known)))
    return a


def say(text):
    print(text, flush=True)


class Run:
    """What has been measured so far, and who has failed: what failed once is left out of the rest of a part."""

    def __init__(self, bench, args, chosen, data):
        self.bench, self.args, self.data = bench, args, data
        self.chosen = chosen
        self.failed = set()

    def part(self, name):
        say(name)
        self.failed.clear()
        getattr(self, name)()

    def case(self, key, what, fn, *args):
        """One measurement; None when there is no number."""
        if key in self.failed:
            return None
        try:
            return fn(self.bench, *args)
        except measure.Void as e:
            self.failed.add(key)
            self.data["void"].append({"system": key, "case": what, "why": str(e)})
            say("  VOID %s: %s" % (what, e))
            return None

    def consume(self):
        rates, found = {}, self.data["consume"]
        seconds = SECONDS_QUICK if self.args.quick else SECONDS
        for number in range(self.args.rounds):
            for slots in self.args.slots:
                for system in self.chosen:
                    expected = rates.get((system.key, slots), systems.GUESS[system.key][slots > 1])
                    tasks = max(int(expected * seconds), 50 * slots)
                    what = "%s, %d slots" % (system.title, slots)
                    run = self.case(system.key, what, measure.consume, system, slots, tasks)
                    if run:
                        rates[system.key, slots] = run["rate"]
                        found.setdefault(str(slots), {}).setdefault(system.key, []).append(run)
                        say("  round %d  %2d slots  %-14s %9s tasks/s  (%d tasks in %.1f s, others took %.0f %% of the CPU)" %
                            (number + 1, slots, system.title, report.rate(run["rate"]), run["tasks"], run["seconds"],
                             100 * run["others"]))

    def cost(self):
        """What the lease and STARTED cost, each for itself: C slots, which do least beside them."""
        plain = next((s for s in self.chosen if s.key == "warren-c"), None)
        rate = systems.GUESS["warren-c"][1]
        for number in range(self.args.rounds if plain else 0):
            for system in systems.variants(plain):
                tasks = max(int(rate * (SECONDS_QUICK if self.args.quick else SECONDS)), 50 * COST_SLOTS)
                run = self.case(system.key, system.title, measure.consume, system, COST_SLOTS, tasks)
                if run:
                    rate = run["rate"]
                    self.data["cost"].setdefault(system.key, []).append(run)
                    self.data["variants"][system.key] = system.title
                    say("  round %d  %-8s %9s tasks/s" % (number + 1, system.title, report.rate(run["rate"])))

    def publish(self):
        ways = systems.producers(self.bench, self.args)
        for number in range(self.args.rounds):
            for way in ways:
                self.data["producers"][way.key] = way.title
                run = self.case(way.key, way.title, measure.publish, way)
                if run:
                    self.data["publish"].setdefault(way.key, []).append(run)
                    say("  round %d  %-20s %9s messages/s" % (number + 1, way.title, report.rate(run["rate"])))

    def memory(self):
        for system in self.workers():
            run = self.case(system.key, system.title, measure.memory, system, MEMORY_SLOTS, 50 * MEMORY_SLOTS)
            if run:
                self.data["memory"][system.key] = [run]
                say("  %-14s daemon %.1f MiB, child %.1f MiB" %
                    (system.title, run["daemon_kib"] / 1024, run["child_kib"] / 1024))

    def start(self):
        for _ in range(1 if self.args.quick else START_ROUNDS):
            for system in self.workers():
                run = self.case(system.key, system.title, measure.start, system, START_SLOTS)
                if run:
                    self.data["start"].setdefault(system.key, []).append(run)
                    say("  %-14s ready %.3f s, first result %.3f s" % (system.title, run["ready"], run["first_result"]))

    def workers(self):
        return [s for s in self.chosen if s.key != "raw"]


def machine(args):
    info = {"cpus": os.cpu_count(), "kernel": platform.release(), "load_before": os.getloadavg()[0],
            "python": platform.python_version(), "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    warren = os.path.join(args.builddir, "warren")
    if os.path.exists(warren):
        with open(warren, "rb") as f:
            info["sanitizers"] = b"__asan_init" in f.read()
    return info


def check_programs(args):
    """What is missing, in one line each, before any server is started."""
    if not systems.celery_python():
        say("Celery is left out: no Python here can import celery and redis (Debian: python3-celery, python3-redis).")
        args.systems = [key for key in args.systems if "celery" not in key]
    need = [os.path.join(args.builddir, "tests/bench/rawloop")]
    if any(key.startswith("warren") for key in args.systems):
        need += [os.path.join(args.builddir, "warren"), os.path.join(args.builddir, "tests/bench/noop.so")]
    missing = [n for n in need if not os.path.exists(n)]
    if missing:
        raise SystemExit("bench: %s is not built; run `make bench`" % missing[0])


def run_all(args, folder):
    data = {"machine": machine(args), "rounds": args.rounds, "quick": args.quick, "producers": {}, "void": [],
            "consume": {}, "cost": {}, "variants": {}, "publish": {}, "memory": {}, "start": {}}
    if data["machine"].get("sanitizers"):
        say("NOTE: warren is built with sanitizers; its numbers mean nothing.")
    say("%d CPUs, load %.1f before the run" % (data["machine"]["cpus"], data["machine"]["load_before"]))
    with Servers() as servers:
        bench = measure.Bench(os.path.join(args.builddir, "tests/bench/rawloop"), servers, folder)
        chosen = [s for s in systems.all_systems(args.builddir) if s.key in args.systems]
        run = Run(bench, args, chosen, data)
        for phase in PHASES:
            if phase in args.only:
                run.part(phase)
    data["summary"] = report.summarise(data)
    return data, {s.key: s.title for s in chosen}


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    check_programs(args)
    began = time.monotonic()
    folder = tempfile.mkdtemp(prefix="warren-bench-")
    keep = True
    try:
        data, titles = run_all(args, folder)
        keep = args.keep or bool(data["void"])
    except Failed as e:
        raise SystemExit("bench: %s" % e) from None
    finally:
        if keep:
            say("logs: " + folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    data["seconds"] = time.monotonic() - began
    with open(args.output, "w") as f:
        json.dump(data, f, indent=1)
        f.write("\n")
    say("\n%s\n\n%.0f s in all; every run in %s" % (report.render(data, titles), data["seconds"], args.output))
    # Speed is never a failure, a lost task is.
    if data["void"]:
        raise SystemExit("bench: %d case(s) without a number, the first: %s: %s" %
                         (len(data["void"]), data["void"][0]["case"], data["void"][0]["why"].splitlines()[0]))


if __name__ == "__main__":
    main()
