#!/usr/bin/python3
"""
bench.py - compares ttd, QEMU and the bare machine: one kernel, one ramdisk,
one run.  See --help, and README.md beside this file for how to read it.

How it thinks: noise comes in waves, so the engines take turns, round by round,
and a figure is the median of the rounds with its smallest and largest.  What
recording and replaying cost is small beside the waves; there the two share a CPU:
slice by slice each has what the other has, and two equal runs differ by 0.3 %.
"""
import argparse
import concurrent.futures
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import against  # noqa: E402
import devices  # noqa: E402
import engines  # noqa: E402
import guest as guest_files  # noqa: E402
import report  # noqa: E402
import travel  # noqa: E402

# Whose logs are measured: nothing but computing, fork and exec, system calls.
LOGGED = ("fib", "interp", "spawn", "syscall")
LONG = 300  # seconds of a recording that is made once only, beside one without checkpoints
SLOW_RUNS = 3  # rounds that an engine other than ttd and native gets, at most


def options():
    env = os.environ.get
    p = argparse.ArgumentParser(
        description="Compares ttd with QEMU and the bare machine on one kernel and ramdisk.",
        epilog="Each option has a variable of its name for make: make bench BENCH_RUNS=1 "
               "BENCH_ONLY=boot,fib")
    p.add_argument("--runs", type=int, default=int(env("BENCH_RUNS") or 5), metavar="N",
                   help="rounds (default 5; QEMU takes part in at most %d)" % SLOW_RUNS)
    p.add_argument("--slow-runs", type=int, default=int(env("BENCH_SLOW_RUNS") or SLOW_RUNS),
                   metavar="N", help="rounds in which QEMU takes part (default %d)" % SLOW_RUNS)
    p.add_argument("--only", default=env("BENCH_ONLY") or "", metavar="NAME,...",
                   help="these workloads; also the sets boot, user, exit, idle, disk, net, io for "
                   "the last two, and travel (default all)")
    p.add_argument("--engines", default=env("BENCH_ENGINES") or
                   "native,ttd,icount,rr,rr-replay,run,record,replay", metavar="NAME,...",
                   help="default native,ttd,icount,rr,rr-replay,run,record,replay; there is "
                   "tcg too; with --against ttd, record and replay count")
    p.add_argument("--memory", type=int, default=int(env("BENCH_MEMORY") or 256), metavar="MB",
                   help="of each guest (default 256)")
    p.add_argument("--travel", type=int, default=int(env("BENCH_TRAVEL") or 60),
                   metavar="SECONDS", help="CPU time of the recording that is gone to and fro in "
                   "(default 60)")
    p.add_argument("--against", default=env("BENCH_AGAINST"), metavar="FILE",
                   help="compare with that ttd, of another build, and with nothing else: each "
                   "workload at the same time on one CPU")
    p.add_argument("--json", default=env("BENCH_JSON"), metavar="FILE",
                   help="write all figures there as well")
    p.add_argument("--no-profile", action="store_true", default=bool(env("BENCH_NO_PROFILE")),
                   help="without ttd's own counters per workload")
    o = p.parse_args()
    o.engines = [e for e in o.engines.split(",") if e]
    for replay, record in engines.RECORDS.items():
        if replay in o.engines and record not in o.engines[:o.engines.index(replay)]:
            p.error("%s needs %s before it" % (replay, record))
    for e in o.engines:
        if e != "native" and e not in engines.ENGINES:
            p.error("unknown engine '%s': use native, %s" % (e, ", ".join(engines.ENGINES)))
    if o.runs < 1 or o.slow_runs < 1:
        p.error("at least one round")
    return o, p


def choose(only, parser):
    """(boot or not, travel or not, the workloads)."""
    every = guest_files.workloads()
    words = [w for w in only.split(",") if w]
    if "io" in words:
        words = [w for w in words if w != "io"] + list(devices.SETS)
    known = {"boot", "user", "exit", "idle", "travel", *devices.SETS} | {w.name for w in every}
    for w in words:
        if w not in known:
            parser.error("unknown workload '%s': use %s" % (w, ", ".join(sorted(known | {"io"}))))
    if not words:
        return True, True, every
    return "boot" in words, "travel" in words, [w for w in every if w.name in words or w.set in words]


def say(text):
    if sys.stderr.isatty():
        print("\r\033[K" + text, end="", file=sys.stderr, flush=True)


def memory_folder():
    """Where files are in memory, as the guests' are, if there is room; None: anywhere."""
    try:
        return "/dev/shm" if shutil.disk_usage("/dev/shm").free > 2 << 30 else None
    except OSError:
        return None


class Bench:
    def __init__(self, o, boot, workloads):
        self.o, self.boot = o, boot
        self.waiting = [w for w in workloads if w.set in devices.SETS]
        self.workloads = [w for w in workloads if w.set not in devices.SETS]
        self.names = [w.name for w in self.workloads]
        self.boots = {e: [] for e in o.engines if e != "native"}
        self.runs = {e: [] for e in o.engines}
        self.pairs = {"%s/%s" % p: [] for p in engines.TOGETHER if self.together(p)}
        self.shared = []  # (ttd, native) on one CPU
        self.profile = {}
        self.logs = {}
        self.devices = {}
        self.travel = None

    def prepare(self, tmp):
        build = os.path.join(guest_files.TOP, os.environ.get("TTD_BUILD", "build"))
        # One place, not the temporary folder: mkguest then knows the ramdisk again.
        self.tree = guest_files.compile_programs(os.path.join(build, "bench-guest"))
        kernel, ramdisk = guest_files.make(self.tree)
        self.root = os.path.join(tmp, "root")
        shutil.copytree(self.tree, os.path.join(self.root, "bench"))
        guest_files.unpack_busybox(ramdisk, self.root)
        # A copy: the tree may be rebuilt meanwhile.
        ttd = shutil.copy(os.path.join(build, "ttd"), tmp)
        qemu = shutil.which("qemu-system-x86_64")
        self.guest = engines.Guest(kernel, ramdisk, self.o.memory, ttd, qemu, tmp)

    def together(self, pair):
        return not set(pair) - set(self.o.engines)

    def one(self, engine, n):
        say("round %d of %d: %s" % (n, self.o.runs, engine))
        if engine == "native":
            self.runs[engine].append(engines.native(self.root, self.guest.tmp, self.workloads))
            return
        self.note(engine, self.guests(engine, n))

    def guests(self, engine, n, **how):
        """What a round has of an engine: a boot, and all the workloads."""
        # Any word on its command line gives a guest other random numbers, so
        # each round has other addresses.  Without it a deterministic guest
        # would have the same luck, good or bad, in every round.
        extra = "bench.round=%02d" % n
        how.setdefault("keep", engines.REPLAYS.get(engine) in self.o.engines)
        found = {}
        if self.boot:
            found["boot"] = engines.drive(engine, self.guest, [], "true", extra, **how)
        if self.names:
            found["work"] = engines.drive(engine, self.guest, self.names, None, extra, **how)
        return found

    def note(self, engine, found):
        for kind, into in (("boot", self.boots), ("work", self.runs)):
            if kind in found:
                into[engine].append(found[kind])

    def pair(self, a, b, n):
        say("round %d of %d: %s and %s on one CPU" % (n, self.o.runs, a, b))
        cpu = min(os.sched_getaffinity(0))
        # The recording that a replay is measured against leaves nothing, and
        # not where the replay's own recording lies.
        other = {"tag": "-beside", "keep": False} if a == "replay" else {}
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            both = [pool.submit(self.guests, a, n, cpu=cpu),
                    pool.submit(self.guests, b, n, cpu=cpu, **other)]
            found = [f.result() for f in both]
        self.pairs["%s/%s" % (a, b)].append(found)
        for engine, f in zip((a, b), found):
            self.note(engine, f)

    def rounds(self):
        paired = {e for p in self.pairs for e in p.split("/")}
        for n in range(1, self.o.runs + 1):
            for engine in self.o.engines:
                if engine not in paired and (engine in engines.FAST or n <= self.o.slow_runs):
                    self.one(engine, n)
            for p in self.pairs:
                self.pair(*p.split("/"), n)
            user = [w for w in self.workloads if w.set == "user"]
            if user and {"native", "ttd"} <= set(self.o.engines):
                say("round %d of %d: ttd and native on one CPU" % (n, self.o.runs))
                self.shared.append(engines.accompanied(self.guest, self.root, user,
                                                       "bench.round=%02d" % n))

    def profiles(self):
        """
        ttd's counters for each workload: of a boot with it less one without.
        Without random addresses, so that all else in the two is the same.
        """
        for n in ["none", *self.names] if self.names else []:
            say("ttd's counters: " + n)
            self.profile[n] = engines.drive("ttd", self.guest, [n] if n != "none" else [],
                                            "sh /bench/run %s bare" % n, "norandmaps")

    def log_sizes(self):
        """
        (bytes, instructions) of recordings with and without witnesses: of a
        boot, and of the workloads less that.
        """
        for kind in ("witnesses", "inputs"):
            for n in ["none", *(n for n in LOGGED if n in self.names)]:
                say("log sizes: %s, %s" % (n, kind))
                r = engines.drive(kind, self.guest, [n] if n != "none" else [],
                                  "sh /bench/run %s bare" % n, "norandmaps")
                self.logs[n, kind] = (r.log, r.stats["icount"])

    def io(self):
        with devices.Devices(self.o, self.waiting, self.guest.tmp, self.guest, self.tree) as d:
            d.rounds(say)
            self.devices = d.figures()

    def travels(self):
        """In a folder of its own: checkpoints may be many."""
        with tempfile.TemporaryDirectory(prefix="ttd-travel.") as folder:
            self.travel = travel.Travel(self.guest, self.o.travel,
                                        1 if self.o.travel >= LONG else self.o.slow_runs,
                                        folder, say).all()

    def check(self):
        """Every engine must have computed the same."""
        for n in self.names:
            sums = {e: r.sums[n] for e, runs in self.runs.items() for r in runs}
            if len(set(sums.values())) > 1:
                raise engines.Failed("%s: results differ: %s" % (n, sums))


def main():
    o, parser = options()
    boot, travels, workloads = choose(o.only, parser)
    bench = Bench(o, boot, workloads)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    start, load = time.time(), os.getloadavg()[0]
    try:
        with tempfile.TemporaryDirectory(prefix="ttd-bench.", dir=memory_folder()) as tmp:
            bench.prepare(tmp)
            if o.against:
                pairs = against.Against(bench, o.against)
                pairs.rounds(say)
                say("")
                pairs.show(sys.stdout)
                return
            if not bench.guest.qemu and set(o.engines) - engines.FAST:
                raise engines.Failed("no qemu-system-x86_64; install qemu-system-x86 or give "
                                     "BENCH_ENGINES=native,ttd")
            if bench.boot or bench.names:
                bench.rounds()
                if not o.no_profile and "ttd" in o.engines:
                    bench.profiles()
                if "record" in o.engines:
                    bench.log_sizes()
            if bench.waiting and set(o.engines) & set(devices.ENGINES):
                bench.io()
            if travels:
                bench.travels()
        bench.check()
    except (engines.Failed, subprocess.SubprocessError, OSError, ValueError) as e:
        say("")
        sys.exit("bench: %s" % e)
    except KeyboardInterrupt:
        sys.exit(130)
    say("")
    result = report.collect(bench, {"seconds": round(time.time() - start), "load": load,
                                    "cpu": report.cpu_name(), "host": platform.release()})
    report.show(result, sys.stdout)
    devices.show(sys.stdout, result["io"])
    if o.json:
        with open(o.json, "w") as f:
            json.dump(result, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()
