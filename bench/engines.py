"""
engines.py - what can run the workloads, and one run of each.

An engine is a row of ENGINES: how to make the command line of a guest run.
drive() runs it and takes the times: a process's own clocks (wall, and CPU of
all its threads) when a line of guest/run arrives on its standard output.
Natively, a workload runs on one CPU, as a guest has one, and its CPU time is
what the kernel charged to it and its children.
"""
import functools
import json
import os
import select
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time

TIMEOUT = 600


class Failed(Exception):
    pass


class Run:
    """One boot to power-off: its marks and what was measured around them."""

    def __init__(self):
        self.wall = self.cpu = 0.0
        self.marks = {}     # name -> (wall, cpu) of the workload
        self.sums = {}      # name -> checksum of its output
        self.stats = {}     # ttd's counters
        self.rss = {}       # at the end of the workloads, in bytes
        self.log = 0        # bytes recorded


class Guest:
    def __init__(self, kernel, ramdisk, memory, ttd, qemu, tmp):
        self.kernel, self.ramdisk, self.memory = kernel, ramdisk, memory
        self.ttd, self.qemu, self.tmp = ttd, qemu, tmp


def ttd_command(verb, clock, *more):
    def command(guest, words, log):
        return [guest.ttd, verb, "--kernel", guest.kernel, "--ramdisk", guest.ramdisk,
                "--memory", str(guest.memory), "--clock", clock, "--stats", "--json",
                *(["-o", log, "--force"] if verb == "record" else []), *more,
                "--extra", words]
    return command


def ttd_replay(guest, _words, log):
    return [guest.ttd, "replay", log, "--stats", "--json"]


def qemu_command(icount):
    def command(guest, words, log):
        # As small a PC as -machine pc can be, as big as what ttd shows a guest.
        return [guest.qemu, "-machine", "pc", "-accel", "tcg", "-smp", "1",
                "-m", str(guest.memory), "-nodefaults", "-no-user-config", "-display", "none",
                "-serial", "stdio", "-no-reboot", "-net", "none",
                *(["-icount", icount.replace("LOG", log)] if icount else []),
                "-kernel", guest.kernel, "-initrd", guest.ramdisk,
                "-append", "console=ttyS0 " + words]
    return command


# name -> (makes the command line, what it is)
ENGINES = {
    "ttd": (ttd_command("run", "virtual"), "ttd run --clock virtual"),
    "icount": (qemu_command("shift=auto"), "QEMU TCG, -icount shift=auto"),
    "rr": (qemu_command("shift=auto,rr=record,rrfile=LOG"),
           "QEMU TCG, -icount shift=auto,rr=record"),
    "tcg": (qemu_command(None), "QEMU TCG, no icount (not deterministic)"),
    "run": (ttd_command("run", "host"), "ttd run"),
    "record": (ttd_command("record", "host"), "ttd record"),
    "replay": (ttd_replay, "ttd replay, of that recording"),
    "rr-replay": (qemu_command("shift=auto,rr=replay,rrfile=LOG"),
                  "QEMU TCG, -icount shift=auto,rr=replay, of that recording"),
    "inputs": (ttd_command("record", "virtual", "--no-witnesses"),
               "ttd record --no-witnesses"),
    "witnesses": (ttd_command("record", "virtual"), "ttd record --clock virtual"),
}
FAST = {"native", "ttd", "run", "record", "replay"}
# What leaves something for whom to replay.
REPLAYS = {"record": "replay", "rr": "rr-replay"}
RECORDS = {v: k for k, v in REPLAYS.items()}
# Of the comparison of recording and replaying; not in the other tables.
ASIDE = {"run", "record", "replay", "rr-replay"}
# Compared while both run, on one CPU.
TOGETHER = (("record", "run"), ("replay", "record"))


def log_size(log):
    """Of a file, or of the log in a trace; 0 when there is none."""
    if not os.path.exists(log):
        return 0
    if not os.path.isdir(log):
        return os.path.getsize(log)
    return sum(os.path.getsize(os.path.join(log, f)) for f in os.listdir(log)
               if f.startswith("ttd.log.") and not f.endswith((".checkpoints", ".overlay")))


def remove_log(log):
    if os.path.isdir(log):
        shutil.rmtree(log)
    else:
        os.unlink(log)


def tree(pid):
    """A process and all that came of it and live."""
    pids = [pid]
    for p in pids:
        try:
            for task in os.listdir("/proc/%d/task" % p):
                with open("/proc/%d/task/%s/children" % (p, task)) as f:
                    pids += map(int, f.read().split())
        except OSError:
            pass  # it is gone meanwhile
    return pids


def cpu_clock(pid):
    """Of all its threads, as clock_getcpuclockid(3) has it."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


class Clock:
    """Wall and CPU seconds since the start of a process that still lives, with its children."""

    def __init__(self, pid):
        self.start, self.pid = time.monotonic(), pid

    def now(self):
        cpu = cpu_clock(self.pid)  # at once: what else is asked takes its time
        return time.monotonic() - self.start, cpu + sum(map(cpu_clock, tree(self.pid)[1:]))


def memory_use(pid, memory):
    """Resident bytes, and how many of them are the guest's memory."""
    guest = total = size = 0
    with open("/proc/%d/smaps" % pid) as f:
        for line in f:
            if line.startswith("Size:"):
                size = int(line.split()[1])
            elif line.startswith("Rss:"):
                rss = int(line.split()[1]) << 10
                total += rss
                if size >= memory << 10:
                    guest += rss
    return {"total": total, "guest": guest}


def lines_of(fd, limit, renew=False):
    """Lines of a pipe, each as soon as it is there; all, or each (renew), in `limit` seconds."""
    rest, deadline = b"", time.monotonic() + limit
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            raise Failed("no %s after %d seconds" % ("line" if renew else "end", limit))
        part = os.read(fd, 65536)
        if not part:
            return
        if renew:
            deadline = time.monotonic() + limit
        *lines, rest = (rest + part).split(b"\n")
        yield from (line.decode("ascii", "replace").strip() for line in lines)


class Marks:
    """Follows the lines of guest/run."""

    def __init__(self, run, companion=None):
        self.run, self.begin, self.done, self.tail = run, {}, False, []
        self.companion = companion

    def take(self, line, now):
        at = line.find("@@ ")
        word = line[at:].split() if at >= 0 else []
        self.tail = self.tail[-20:] + [line]
        if word[1:2] == ["begin"]:
            self.begin[word[2]] = now
            if self.companion:
                self.companion.begin(word[2])
        elif word[1:2] == ["end"]:
            if self.companion:
                self.companion.end(word[2])
            if word[3] != "0":
                raise Failed("%s ended with status %s" % (word[2], word[3]))
            self.run.marks[word[2]] = tuple(b - a for a, b in zip(self.begin[word[2]], now))
        elif word[1:2] == ["sum"]:
            self.run.sums[word[2]] = " ".join(word[3:])
        elif word[1:2] == ["done"]:
            self.done = True
        return self.done

    def failed(self, why):
        return Failed(why + "\n" + "\n".join("    | " + t for t in self.tail))


def follow(p, run, memory, companion):
    clock, marks = Clock(p.pid), Marks(run, companion)
    try:
        for line in lines_of(p.stdout.fileno(), TIMEOUT):
            if marks.take(line, clock.now()) and not run.rss:
                run.rss = memory_use(p.pid, memory)
    except Failed as e:
        raise marks.failed(str(e)) from None
    return clock, marks


def drive(name, guest, names, command=None, extra="", keep=False, cpu=None, tag="",
          companion=None):
    """
    Boots, runs the workloads named, or another command, and powers off.  All on
    one CPU when that is given; tag tells two recordings at the same time apart.
    A companion is told when a workload begins and ends.
    """
    command = command or "sh /bench/run " + ",".join(names)
    words = 'quiet %s ttd.run="%s"' % (extra, command)
    log = os.path.join(guest.tmp, "%s-%s%s" % (RECORDS.get(name, name),
                                               "work" if names else "boot", tag))
    pin = None if cpu is None else functools.partial(os.sched_setaffinity, 0, {cpu})
    run = Run()
    with tempfile.TemporaryFile(dir=guest.tmp) as err:
        p = subprocess.Popen(ENGINES[name][0](guest, words, log), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=err, preexec_fn=pin)
        status = None
        try:
            clock, marks = follow(p, run, guest.memory, companion)
            _, status, usage = os.wait4(p.pid, 0)
            p.returncode = status
        finally:
            if status is None:
                p.kill()
                p.wait()
            p.stdout.close()
        run.wall = time.monotonic() - clock.start
        run.cpu = usage.ru_utime + usage.ru_stime
        run.rss["max"] = usage.ru_maxrss << 10
        err.seek(0)
        text = err.read().decode("utf-8", "replace")
    if os.path.exists(log):
        run.log = log_size(log)
        if not keep:
            remove_log(log)
    if status != 0 or set(run.marks) != set(names):
        marks.tail += text.splitlines()[-5:]
        raise marks.failed("%s: ended with status %d after %d of %d workloads"
                           % (name, os.waitstatus_to_exitcode(status), len(run.marks),
                              len(names)))
    for line in text.splitlines():
        if line.startswith("{"):
            run.stats = json.loads(line)
    return run


def on_one_cpu():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def once(command, env, out):
    """One shell command: (wall, cpu, exit status)."""
    start = time.monotonic()
    p = subprocess.Popen([env["B"], "sh", "-c", command], env=env, stdin=subprocess.DEVNULL,
                         stdout=out, preexec_fn=on_one_cpu)
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, p.returncode


def native_env(root, tmp):
    """What a shell needs for the workloads, and their files."""
    env = {"PATH": "/nonexistent", "B": os.path.join(root, "bin/busybox"),
           "P": os.path.join(root, "bench/bin"), "D": tmp + "/text", "S": tmp + "/quarter"}
    for name, lines in (("D", 300000), ("S", 75000)):
        if not os.path.exists(env[name]):
            with open(env[name], "wb") as f:
                once("$P/text %d" % lines, env, f)
    return env


class Companion:
    """
    Runs a workload natively, again and again, as long as the guest is in it; on
    the guest's CPU, so that both get the same share of what the machine gives.
    """

    def __init__(self, root, tmp, workloads):
        self.env, self.run = native_env(root, tmp), Run()
        self.commands = {w.name: w.command for w in workloads}

    def begin(self, name):
        self.stop, self.child, self.found = False, None, []
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.repeat, args=(self.commands[name],))
        self.thread.start()

    def repeat(self, command):
        while True:
            with self.lock:
                if self.stop:
                    return
                p = subprocess.Popen([self.env["B"], "sh", "-c", command], env=self.env,
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                     preexec_fn=on_one_cpu, start_new_session=True)
                self.child, start = p, time.monotonic()
            # Not reaped before the lock is held: nobody else has its number.
            os.waitid(os.P_PID, p.pid, os.WEXITED | os.WNOWAIT)
            with self.lock:
                _, status, usage = os.wait4(p.pid, 0)
                p.returncode = status
                if status == 0:
                    self.found.append((time.monotonic() - start,
                                       usage.ru_utime + usage.ru_stime))
                self.child = None

    def end(self, name):
        with self.lock:
            self.stop = True
            if self.child:
                os.killpg(self.child.pid, signal.SIGKILL)
        self.thread.join()
        if not self.found:
            raise Failed("native %s did not end once while the guest ran it" % name)
        self.run.marks[name] = tuple(statistics.median(f) for f in zip(*self.found))


def accompanied(guest, root, workloads, extra):
    """ttd and, beside it on its CPU, the same workloads natively: two runs."""
    companion = Companion(root, guest.tmp, workloads)
    ttd = drive("ttd", guest, [w.name for w in workloads], None, extra,
                cpu=min(os.sched_getaffinity(0)), companion=companion)
    return ttd, companion.run


def native(root, tmp, workloads):
    """The same commands with the same programs, in this machine itself."""
    run, env = Run(), native_env(root, tmp)
    for w in workloads:
        with open(os.path.join(tmp, "out"), "w+b") as out:
            wall, cpu, status = once(w.command, env, out)
            if status != 0:
                raise Failed("native %s: exit status %d" % (w.name, status))
            out.seek(0)
            md5 = subprocess.run([env["B"], "md5sum"], stdin=out, stdout=subprocess.PIPE,
                                 check=True)
        run.marks[w.name] = wall, cpu
        run.sums[w.name] = " ".join(md5.stdout.decode().split()[:2])
    return run
