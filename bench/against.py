"""
against.py - this build's ttd against another one's: make bench BENCH_AGAINST=FILE.

Both run the same workloads at the same time on one CPU, so that each gets the same share of
what the machine gives, and a figure is the ratio of their CPU times in one round, this
build's first.  Two equal builds differ by 0.3 % then; one after the other they differ by a
tenth and more.  What the workloads wrote must be equal.
"""
import concurrent.futures
import math
import os
import shutil
import statistics

import engines

ENGINES = ("ttd", "record", "replay")


class Against:
    def __init__(self, bench, other):
        self.bench = bench
        g = bench.guest
        ttd = shutil.copy(other, os.path.join(g.tmp, "ttd-other"))
        self.other = engines.Guest(g.kernel, g.ramdisk, g.memory, ttd, g.qemu, g.tmp)
        self.found = {}  # (engine, workload) -> [ratio]

    def run(self, engine, guest, n, tag, names):
        keep = engine == "record" and "replay" in self.engines
        return engines.drive(engine, guest, names, None if names else "true",
                             "bench.round=%02d" % n, keep=keep,
                             cpu=max(os.sched_getaffinity(0)), tag=tag)

    def pair(self, engine, n, names):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            both = [pool.submit(self.run, engine, g, n, tag, names)
                    for g, tag in ((self.bench.guest, "-this"), (self.other, "-other"))]
            this, other = [f.result() for f in both]
        if this.sums != other.sums:
            raise engines.Failed("%s: results differ: %s, %s" % (engine, this.sums, other.sums))
        for name in names:
            self.note(engine, name, this.marks[name][1] / other.marks[name][1])
        if not names:
            self.note(engine, "boot", this.cpu / other.cpu)

    def note(self, engine, name, ratio):
        self.found.setdefault((engine, name), []).append(ratio)

    def rounds(self, say):
        self.engines = [e for e in ENGINES if e in self.bench.o.engines]
        for n in range(1, self.bench.o.runs + 1):
            for engine in self.engines:
                say("round %d of %d: %s against the other" % (n, self.bench.o.runs, engine))
                if self.bench.boot:
                    self.pair(engine, n, [])
                if self.bench.names:
                    self.pair(engine, n, self.bench.names)

    def show(self, out):
        sets = {w.name: w.set for w in self.bench.workloads}
        print("CPU time, this build / the other, both on one CPU (median, smallest and "
              "largest of %d)\n" % self.bench.o.runs, file=out)
        for engine in self.engines:
            rows = {k: v for (e, k), v in self.found.items() if e == engine}
            for name, ratios in rows.items():
                print("%-8s %-10s %6.3f  (%.3f to %.3f)" % (
                    engine, name, statistics.median(ratios), min(ratios), max(ratios)), file=out)
            for s in ("user", "exit"):
                medians = [statistics.median(v) for k, v in rows.items() if sets.get(k) == s]
                if medians:
                    print("%-8s %-10s %6.3f  geometric mean of these %d" % (
                        engine, s, math.prod(medians) ** (1 / len(medians)), len(medians)),
                        file=out)
            print(file=out)
