"""
devices.py - the sets disk and net: workloads that wait for a disk or for a
server on the host's loopback, and what recording them costs.

How it thinks: each set is a boot of its own, with just its device, so that an
engine that cannot do one of them shows in that row only.  An engine of QEMU's
that stands still or gives up is started again for the workloads behind; what
it did not do is a "-" with the reason below the table.  ttd that fails fails
the benchmark.  Rates are of wall time: most of these workloads wait.
"""
import os
import random
import subprocess
import sys
import tempfile

import engines
import guest as guest_files
import report

ENGINES = ("run", "record", "replay", "icount", "rr")
OURS = {"run", "record", "replay"}
SETS = ("disk", "net")
MODULES = ("virtio-pci", "virtio-blk", "virtio-net")  # QEMU's devices
IMAGE_MB = 128
SILENCE = 120  # seconds without a line: it stands still
# What a row shows: bytes of one operation for MB/s; the others are microseconds each.
BYTES = {"seq-read": 4096, "seq-write": 4096, "download": 1 << 20, "text": 1 << 20,
         "upload": 1 << 20}
TENTH = {"rnd-read", "rnd-write", "request"}  # QEMU does so much of them: $Q
COSTS = (("record", "run"), ("replay", "record"), ("rr", "icount"))


def ttd_devices(image, what):
    return ["--disk", image + ",raw,xvda,rw"] if what == "disk" else ["--vif", "user,hostloopback=1"]


def qemu_devices(image, what, rr):
    """As QEMU's docs/system/replay.rst wants them to be recorded."""
    if what == "disk":
        base = "if=none,format=raw,snapshot=on,file=" + image
        drive = ["-drive", base + ",id=base", "-drive",
                 "driver=blkreplay,if=none,image=base,id=disk"] if rr else \
                ["-drive", base + ",id=disk"]
        return drive + ["-device", "virtio-blk-pci,drive=disk"]
    return ["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=",
            *(["-object", "filter-replay,id=replay,netdev=net"] if rr else [])]


def command(engine, guest, image, what, words, log):
    make = engines.ENGINES[engine][0]
    line = make(guest, words, log)
    if engine == "replay":
        return line
    if engine in OURS:
        return line + ttd_devices(image, what)
    return line + qemu_devices(image, what, engine == "rr")


class Marks(engines.Marks):
    """Looks at the log's size too."""

    def __init__(self, run, log):
        super().__init__(run)
        self.log, self.size = log, 0
        run.grown = {}

    def take(self, line, now):
        at = line.find("@@ ")
        word = line[at:].split() if at >= 0 else []
        if word[1:2] == ["begin"]:
            self.size = engines.log_size(self.log)
        elif word[1:2] == ["end"]:
            self.run.grown[word[2]] = engines.log_size(self.log) - self.size
        return super().take(line, now)


def boot(line, log, tmp):
    """(run, None), or (as far as it got, why not farther)."""
    run = engines.Run()
    marks = Marks(run, log)
    with tempfile.TemporaryFile(dir=tmp) as err:
        p = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err,
                             env=dict(os.environ, TMPDIR=tmp))
        clock, why = engines.Clock(p.pid), None
        try:
            for text in engines.lines_of(p.stdout.fileno(), SILENCE, True):
                marks.take(text, clock.now())
            if p.wait(SILENCE) != 0:
                why = "ended with status %d" % p.returncode
        except (engines.Failed, subprocess.TimeoutExpired) as e:
            why = str(e)
        finally:
            p.kill()
            p.wait()
            p.stdout.close()
        err.seek(0)
        said = err.read().decode("utf-8", "replace").splitlines()
    marks.tail += said[-5:]
    if why is not None and said and not why.startswith("no line"):
        why += ": " + said[-1]
    return run, why, marks


class Devices:
    def __init__(self, o, workloads, tmp, guest, tree):
        self.o, self.workloads, self.tmp = o, workloads, tmp
        self.engines = [e for e in ENGINES if e in o.engines]
        kernel, ramdisk = guest_files.make(tree, MODULES)
        self.guest = engines.Guest(kernel, ramdisk, guest.memory, guest.ttd, guest.qemu, tmp)
        self.image = os.path.join(tmp, "image")
        self.done = {e: {} for e in self.engines}  # engine -> name -> round -> (wall, cpu, grown)
        self.why = {}                              # (engine, name) -> why there is nothing
        self.sums = {}

    def __enter__(self):
        with open(self.image, "wb") as f:
            f.write(random.Random(4).randbytes(IMAGE_MB << 19))
            f.truncate(IMAGE_MB << 20)
        server = os.path.join(guest_files.HERE, "server.py")
        self.server = subprocess.Popen([sys.executable, server], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)
        self.port = int(self.server.stdout.readline())
        return self

    def __exit__(self, *_):
        self.server.stdin.close()
        self.server.wait()
        self.server.stdout.close()

    def keep(self, engine, n, run):
        for name, (wall, cpu) in run.marks.items():
            if name not in run.sums:
                continue  # it ended, and then all ended
            self.done[engine].setdefault(name, {})[n] = (wall, cpu, run.grown[name])
            same = name, name in TENTH and engine not in OURS
            if self.sums.setdefault(same, run.sums[name]) != run.sums[name]:
                raise engines.Failed("%s: %s has another result" % (name, engine))

    def one(self, engine, what, n):
        """The workloads of a set, with as many boots as it takes."""
        names = [w.name for w in self.workloads
                 if w.set == what and (engine, w.name) not in self.why]
        log = os.path.join(self.tmp, "io-%s" % engines.RECORDS.get(engine, engine))
        while names:
            words = 'quiet bench.round=%02d bench.port=%d ttd.run="sh /bench/io %s"' % (
                n, self.port, ",".join(names))
            run, why, marks = boot(command(engine, self.guest, self.image, what, words, log),
                                   log, self.tmp)
            self.keep(engine, n, run)
            left = [name for name in names if name not in run.sums]
            if not left:
                break
            why = why or "ended without it"
            if engine in OURS:
                raise marks.failed("%s, %s: %s" % (engine, left[0], why))
            # Nothing of it: then the others would not come so far either.
            for name in left[:1] if marks.begin else left:
                self.why[engine, name] = why
            names = left[1:] if marks.begin else []
        if engine == "rr" and os.path.exists(log):
            engines.remove_log(log)

    def rounds(self, say):
        for n in range(1, self.o.runs + 1):
            for what in SETS:
                for engine in self.engines:
                    if engine in OURS or n <= self.o.slow_runs:
                        say("round %d of %d: %s, %s" % (n, self.o.runs, what, engine))
                        self.one(engine, what, n)

    # ---- figures ----

    def ratio(self, name, a, b, k):
        x, y = self.done.get(a, {}).get(name, {}), self.done.get(b, {}).get(name, {})
        each = [x[n][k] / y[n][k] for n in x if n in y and y[n][k] > 0]
        return report.spread(each) if each else None

    def row(self, w):
        row = {"set": w.set, "count": w.count, "engines": {}, "ratios": {}}
        for e in self.engines:
            rounds = list(self.done[e].get(w.name, {}).values())
            if rounds:
                row["engines"][e] = {
                    "wall": report.spread([r[0] for r in rounds]),
                    "cpu": report.spread([r[1] for r in rounds]),
                    "log": report.spread([r[2] for r in rounds]),
                    "log_rate": report.spread([r[2] / r[0] for r in rounds])}
            else:
                row["engines"][e] = {"why": self.why.get((e, w.name), "took no part")}
        for a, b in COSTS:
            for k, kind in enumerate(("wall", "cpu")):
                row["ratios"]["%s/%s %s" % (a, b, kind)] = self.ratio(w.name, a, b, k)
        return row

    def figures(self):
        return {w.name: self.row(w) for w in self.workloads}


# ---- tables ----------------------------------------------------------------

def count_of(name, row, engine):
    return row["count"] / (10 if name in TENTH and engine not in OURS else 1)


def rate(name, row, engine, wall):
    n, each = count_of(name, row, engine), BYTES.get(name)
    return wall / n * 1e6 if each is None else n * each / wall / 1e6


def cell(name, row, engine, notes):
    e = row["engines"].get(engine)
    if e is None or "why" in e:
        why = e["why"] if e else "took no part"
        if why not in notes:
            notes.append(why)
        return "- [%d]" % (notes.index(why) + 1)
    s = e["wall"]
    values = [rate(name, row, engine, s[k]) for k in ("median", "min", "max")]
    text = report.number(values[0])
    return text if s["runs"] == 1 else "%s (%s..%s)" % (
        text, report.number(min(values)), report.number(max(values)))


def against(name, row, a, b):
    """How much longer one operation takes."""
    walls = [row["engines"].get(e, {}).get("wall") for e in (a, b)]
    if not all(walls):
        return "-"
    x, y = (w["median"] / count_of(name, row, e) for w, e in zip(walls, (a, b)))
    return report.number(x / y)


def log_cells(row):
    cells = []
    for e in ("record", "rr"):
        f = row["engines"].get(e, {})
        known = "log" in f
        cells += ["%.0f" % (f["log_rate"]["median"] / 1024) if known else "-",
                  "%.0f" % (f["log"]["median"] / 1024) if known else "-"]
    return cells


def show(out, figures):
    names = [e for e in ENGINES if any(e in r["engines"] for r in figures.values())]
    if not names:
        return
    notes, lines = [], []
    for n, r in figures.items():
        lines.append([n, "MB/s" if n in BYTES else "us each",
                      *(cell(n, r, e, notes) for e in names),
                      against(n, r, "rr", "record"), against(n, r, "icount", "run")])
    runs = {e: max(r["engines"][e]["wall"]["runs"] for r in figures.values()
                   if "wall" in r["engines"][e])
            for e in names if any("wall" in r["engines"][e] for r in figures.values())}
    report.table(out, "Disks and network, by wall time (runs: %s)" %
                 ", ".join("%s %d" % r for r in runs.items()),
                 ["", "", *names, "rr/record", "icount/run"], lines)
    for i, why in enumerate(notes):
        print("  [%d] %s" % (i + 1, why), file=out)
    costs = [k for k in next(iter(figures.values()))["ratios"]
             if any(r["ratios"][k] for r in figures.values())]
    report.table(out, "Recording and replaying them, ratios round by round", ["", *costs],
                 [[n, *(report.times(r["ratios"][k]) for k in costs)] for n, r in figures.items()])
    report.table(out, "Growth of their logs", ["", "record KB/s", "KB", "rr KB/s", "KB"],
                 [[n, *log_cells(r)] for n, r in figures.items()])
