"""
guest.py - the kernel and the ramdisk of the benchmarks, and the same programs
for a native run: bench/guest/*.c compiled statically, busybox out of the
ramdisk itself.
"""
import glob
import gzip
import os
import shlex
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
CFLAGS = ["-std=gnu11", "-O2", "-static", "-Wall", "-Wextra", "-Wshadow", "-Wstrict-prototypes"]


class Workload:
    def __init__(self, line):
        self.name, self.set, count, self.command = line.split(None, 3)
        self.count = int(count)


def workloads():
    with open(os.path.join(HERE, "workloads")) as f:
        return [Workload(line) for line in f if line.strip() and not line.startswith("#")]


def compile_programs(to):
    """All of /bench in the guest, made in the folder `to`."""
    tree = os.path.join(to, "bench")
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(os.path.join(tree, "bin"))
    for source in sorted(glob.glob(os.path.join(HERE, "guest", "*.c"))):
        name = os.path.basename(source)[:-2]
        subprocess.run([os.environ.get("CC", "gcc"), *CFLAGS, "-s", "-o",
                        os.path.join(tree, "bin", name), source, "-lm"], check=True)
    for script in ("run", "io", "travel"):
        shutil.copy(os.path.join(HERE, "guest", script), tree)
    # The guest's shell reads the table without its comments.
    with open(os.path.join(tree, "workloads"), "w") as f:
        f.writelines("%s %s %d %s" % (w.name, w.set, w.count, w.command) for w in workloads())
    return tree


def make(tree, modules=()):
    """(kernel, ramdisk), with what is in `tree` as /bench."""
    more = [word for m in modules for word in ("--module", m)]
    p = subprocess.run([os.path.join(TOP, "tools/mkguest"), "--print", "--add",
                        tree + ":/bench", *more], check=True, stdout=subprocess.PIPE, text=True)
    values = dict(word.split("=", 1) for word in shlex.split(p.stdout))
    return values["KERNEL"], values["RAMDISK"]


def unpack_busybox(ramdisk, to):
    """The file usr/bin/busybox of the ramdisk, a gzipped newc archive, into `to`."""
    with gzip.open(ramdisk) as f:
        while True:
            head = f.read(110)
            if head[:6] != b"070701":
                raise ValueError("%s: not a newc archive" % ramdisk)
            field = [int(head[6 + 8 * i:14 + 8 * i], 16) for i in range(13)]
            size, name_size = field[6], field[11]
            name = f.read(name_size + (-(110 + name_size)) % 4)[:name_size - 1].decode()
            data = f.read(size + -size % 4)[:size]
            if name == "TRAILER!!!":
                raise ValueError("%s: has no busybox" % ramdisk)
            if name in ("usr/bin/busybox", "bin/busybox"):
                break
    path = os.path.join(to, "bin", "busybox")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        out.write(data)
    os.chmod(path, 0o755)
