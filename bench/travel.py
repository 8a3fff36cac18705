"""
travel.py - what it costs to go anywhere in a recording: checkpoints while it is
made, seeking, stepping back, the last writer of some bytes; and QEMU's own way
back beside it.

A guest works for about so many seconds of CPU time (guest/travel) on the virtual
clock, so that each recording is of the same instructions.  Where one goes is
chosen by a fixed seed.
"""
import concurrent.futures
import json
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import engines

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../test/gdb"))
import rsp  # noqa: E402

SEEKS = 100
OPENINGS = 5            # sessions that are opened for one look
PLACES, STEPS = 10, 10  # steps back: so many at each of so many places
SEARCHED = 10 ** 10     # instructions that a last writer is looked for in
QEMU_LIMIT = 120        # seconds for anything that QEMU is asked
QEMU_STEPS = 10


def summary(values):
    return {"median": statistics.median(values), "worst": max(values), "n": len(values)}


class Travel:
    def __init__(self, guest, seconds, runs, folder, say):
        self.guest, self.seconds, self.runs, self.say = guest, seconds, runs, say
        self.folder = folder
        self.random = random.Random(5)
        self.trace = os.path.join(folder, "travel")
        self.result = {"memory_mb": guest.memory}

    # ---- processes ----

    def run(self, command, limit=None):
        """Standard output, standard error, wall and CPU seconds of all its processes."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            start = time.monotonic()
            p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            timer = threading.Timer(limit, p.kill) if limit else None
            if timer:
                timer.start()
            _, status, used = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
            wall = time.monotonic() - start
            if timer:
                timer.cancel()
            out.seek(0)
            err.seek(0)
            said, told = (f.read().decode(errors="replace") for f in (out, err))
        if limit and wall > limit:
            raise subprocess.TimeoutExpired(command, limit)
        if p.returncode != 0:
            raise engines.Failed("%s: exit status %d: %s" % (" ".join(command[:3]), p.returncode,
                                                            told[-300:]))
        return said, told, wall, used.ru_utime + used.ru_stime

    def record(self, rounds, *options, trace=None, on=None):
        words = 'quiet ttd.run="sh /bench/travel %d"' % rounds
        out, err, wall, cpu = self.run(
            [*(["taskset", "-c", str(on)] if on is not None else []),
             self.guest.ttd, "record", "-o", trace or self.trace, "--force", "--kernel",
             self.guest.kernel, "--ramdisk", self.guest.ramdisk, "--memory",
             str(self.guest.memory), "--clock", "virtual", *options, "--extra", words])
        if "@@ done" not in out:
            raise engines.Failed("travel: the guest did not come to its end")
        return err, wall, cpu

    # ---- recording ----

    def length(self):
        """How many rounds take about so long."""
        self.say("travel: how long a round takes")
        boot = self.record(0, "--checkpoint-every", "off")[2]
        one = self.record(1, "--checkpoint-every", "off")[2] - boot
        self.rounds = max(1, round((self.seconds - boot) / one))

    def recordings(self):
        """With and without checkpoints, both at once on one CPU; one with them stays."""
        pairs, cpu = [], min(os.sched_getaffinity(0))
        for n in range(self.runs):
            self.say("travel: recording, %d of %d" % (n + 1, self.runs))
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                both = (pool.submit(self.record, self.rounds, "--checkpoint-every", "off",
                                    trace=self.trace + "-without", on=cpu),
                        pool.submit(self.record, self.rounds, on=cpu))
                pairs.append([b.result() for b in both])
        shutil.rmtree(self.trace + "-without")
        err = pairs[-1][1][0]
        self.end = int(re.search(r"recorded .*: (\d+) instructions", err).group(1))
        found = re.search(r"(\d+) checkpoints, (\d+) MB for (\d+) MB .* took ([0-9.]+) s", err)
        if found is None:
            raise engines.Failed("travel: there are no checkpoints; give a longer time")
        count, size, written, spent = (float(x) for x in found.groups())
        ratios = [b[2] / a[2] for a, b in pairs]
        self.result.update(
            rounds=self.rounds, instructions=self.end, cpu=min(a[2] for a, _ in pairs),
            ratios=ratios, checkpoints=int(count), checkpoint_mb=size,
            written_mb=written, checkpoint_cpu=spent,
            ms_per_gb=spent * 1e6 / written if written else None)

    # ---- going there ----

    def seeks(self):
        self.say("travel: seeking")
        command = [self.guest.ttd, "replay", self.trace, "--json"]
        for _ in range(SEEKS):
            command += ["--at", str(self.random.randrange(self.end))]
        out, _, _, cpu = self.run(command)
        seek = summary([json.loads(line)["seek_ms"] for line in out.splitlines()])
        opening = self.run([self.guest.ttd, "replay", self.trace, "--at", "0"])[3]
        self.result["seek"] = dict(seek, cpu=(cpu - opening) * 1000 / SEEKS)
        walls = []
        for _ in range(OPENINGS):
            at = str(self.random.randrange(self.end))
            walls.append(self.run([self.guest.ttd, "replay", self.trace, "--at", at])[2] * 1000)
        self.result["open"] = summary(walls)

    def steps_back(self):
        self.say("travel: stepping back")
        p = subprocess.Popen([self.guest.ttd, "replay", self.trace, "--gdb=0"],
                             stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        times = []
        try:
            port = None
            while port is None:
                line = p.stderr.readline()
                if not line:
                    raise engines.Failed("travel: ttd replay --gdb=0 has ended")
                found = re.search(r"localhost:(\d+)", line)
                port = found and int(found.group(1))
            c = rsp.Client(port)
            for _ in range(PLACES):
                c.monitor("seek %d" % self.random.randrange(1000, self.end))
                for _ in range(STEPS):
                    times.append(rsp.timed(lambda: c.run("bs")) * 1000)
                    c.regs()
            c.ask("D")
        finally:
            p.send_signal(signal.SIGINT)
            p.wait()
            p.stderr.close()
        self.result["step_back"] = summary(times)

    # ---- the last writer ----

    def word(self, symbol, at):
        """Address of 8 bytes in the symbol's page that nobody seems to write."""
        memory = []
        for place in (at // 3, at):
            out = self.run([self.guest.ttd, "mem", symbol, "8", self.trace, "--at", str(place),
                            "--json"])[0]
            page = int(json.loads(out)["address"], 16) & ~0xfff
            out = self.run([self.guest.ttd, "mem", hex(page), "4096", self.trace, "--at",
                            str(place), "--json"])[0]
            memory.append(bytes.fromhex(json.loads(out)["bytes"]))
        same = [i for i in range(0, 4096, 8) if memory[0][i:i + 8] == memory[1][i:i + 8] and
                memory[0][i:i + 8] == bytes(8)]
        if not same:
            raise engines.Failed("travel: no quiet word beside %s" % symbol)
        return hex(page + same[len(same) // 2])

    def last_write(self):
        """
        Of a word that was not written for long, in the page of the kernel's clock,
        which is written all the time: every segment has to be looked at.
        """
        self.say("travel: the last writer")
        at = min(self.end, SEARCHED)
        word = self.word("jiffies", at)
        out, _, wall, cpu = self.run([self.guest.ttd, "last-write", word, self.trace, "--at",
                                      str(at), "--json"])
        answer = json.loads(out)
        self.result["last_write"] = {
            "instructions": at - answer.get("icount", 0), "wall": wall, "cpu": cpu,
            "jobs": os.cpu_count()}

    # ---- QEMU ----

    def qemu_command(self, how, *more):
        icount = "shift=auto,rr=%s,rrfile=%s/rr,rrsnapshot=start" % (how, self.folder)
        words = 'quiet ttd.run="sh /bench/travel 0"'
        return [*engines.qemu_command(icount)(self.guest, words, ""), "-drive",
                "file=%s/disk,if=none,id=rr,format=qcow2" % self.folder, *more]

    def qemu_record(self):
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", self.folder + "/disk", "8M"],
                       check=True)
        self.run(self.qemu_command("record"), QEMU_LIMIT)

    def qemu_steps(self, p):
        """Back just behind the snapshot, in the machine's first instructions; then after a boot."""
        r = self.result["qemu"]
        c = connect(lambda: rsp.Client(self.folder + "/gdb"))
        c.sock.settimeout(QEMU_LIMIT)
        if "ReverseStep+" not in c.features:
            raise engines.Failed("its stub does not step back")
        for _ in range(5 * QEMU_STEPS):
            c.run("s")
        r["near"] = summary([rsp.timed(lambda: c.run("bs")) for _ in range(QEMU_STEPS)])
        c.send("c")
        for line in engines.lines_of(p.stdout.fileno(), QEMU_LIMIT):
            if "@@ done" in line:
                break
        else:
            raise engines.Failed("its replay ended before the boot did")
        c.sock.send(b"\x03")
        c.packet()
        r["far"] = rsp.timed(lambda: c.run("bs"))

    def qemu(self):
        self.say("travel: QEMU")
        r = self.result["qemu"] = {}
        p = None
        try:
            start = time.monotonic()
            self.qemu_record()
            r["record"] = time.monotonic() - start
            p = subprocess.Popen(
                self.qemu_command("replay", "-S", "-chardev",
                                  "socket,id=gdb,path=%s/gdb,server=on,wait=off" % self.folder,
                                  "-gdb", "chardev:gdb"),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            self.qemu_steps(p)
        except (socket.timeout, subprocess.TimeoutExpired):
            r["failed"] = "no answer within %d s" % QEMU_LIMIT
        except (engines.Failed, subprocess.SubprocessError, OSError, AssertionError) as e:
            r["failed"] = str(e) or type(e).__name__
        finally:
            if p is not None:
                p.kill()
                p.wait()
                p.stdout.close()

    def all(self):
        self.length()
        self.recordings()
        self.seeks()
        self.steps_back()
        self.last_write()
        shutil.rmtree(self.trace)
        if self.guest.qemu:
            self.qemu()
        return self.result


def connect(make):
    """A server that has just been started may not listen yet."""
    for _ in range(100):
        try:
            return make()
        except OSError:
            time.sleep(0.1)
    return make()


# ---- the report ----

def ms(s):
    return "median %.1f ms, worst %.1f ms of %d" % (s["median"], s["worst"], s["n"])


def qemu_rows(q):
    near, far, failed = q.get("near"), q.get("far"), q.get("failed")
    out = []
    if near:
        out.append(["QEMU: step back, 50 insns from its snapshot",
                    "median %.0f ms, worst %.0f ms of %d"
                    % (near["median"] * 1000, near["worst"] * 1000, near["n"])])
    if far:
        out.append(["QEMU: step back, at the end of a boot", "%.1f s" % far])
    if failed:
        out.append(["QEMU: step back" + (", at the end of a boot" if near else ""),
                    "no: " + failed])
    return out


def rows(t):
    """[what, figure] for each line of the table."""
    w, r = t["last_write"], t["ratios"]
    return [
        ["the recording", "%d rounds, %.1f Ginsns, %.0f s of CPU, %d MB guest"
         % (t["rounds"], t["instructions"] / 1e9, t["cpu"], t["memory_mb"])],
        ["checkpoints", "%d in %.0f MB, for %.0f MB that were written"
         % (t["checkpoints"], t["checkpoint_mb"], t["written_mb"])],
        ["recording with/without, CPU time", "median %.3f, %.3f to %.3f of %d"
         % (statistics.median(r), min(r), max(r), len(r))],
        ["checkpoints, CPU per GB written", "%.0f ms" % t["ms_per_gb"]],
        ["seek to a random place", "%s; mean %.0f ms of CPU" % (ms(t["seek"]), t["seek"]["cpu"])],
        ["open, seek, close", ms(t["open"])],
        ["reverse-stepi", ms(t["step_back"])],
        ["last-write over %.1f Ginsns" % (w["instructions"] / 1e9),
         "%.1f s on %d CPUs, %.1f s of CPU time" % (w["wall"], w["jobs"], w["cpu"])],
        *qemu_rows(t.get("qemu", {"failed": "there is no QEMU"})),
    ]
