"""
report.py - from runs to figures, and from figures to tables.

collect() makes one dictionary of everything, which --json writes; show()
prints from that alone.  Seconds are of CPU where nothing else is said: on a
machine that does other things too they are the steadier ones.
"""
import math
import statistics

import engines
import travel

EXITS = ("syscall", "exception", "priv")


def cpu_name():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "unknown CPU"


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values),
            "runs": len(values)}


def both(pairs):
    """Of (wall, cpu) pairs."""
    pairs = list(pairs)
    return {"wall": spread([p[0] for p in pairs]), "cpu": spread([p[1] for p in pairs])}


def geomean(values):
    values = [v for v in values if v]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


# ---- figures ---------------------------------------------------------------

def figures_of_boot(runs):
    return {e: both((r.wall, r.cpu) for r in rs) for e, rs in runs.items() if rs}


def figures_of_work(bench):
    table = {}
    for w in bench.workloads:
        row = {e: both(r.marks[w.name] for r in rs) for e, rs in bench.runs.items() if rs}
        table[w.name] = {"set": w.set, "count": w.count, "engines": row}
        shared = [t.marks[w.name][1] / n.marks[w.name][1] for t, n in bench.shared
                  if w.name in n.marks]
        if shared:
            table[w.name]["shared"] = spread(shared)
    return table


def figures_of_memory(bench):
    """The largest resident set: of the workloads' run, else of the boot."""
    table = {}
    for e in bench.boots:
        runs = bench.runs[e] or bench.boots[e]
        if not runs:
            continue
        top = max(runs, key=lambda r: r.rss["max"])
        table[e] = dict(top.rss, log=max(r.log for r in runs), wall=top.wall)
    return table


def difference(a, b):
    return {k: v - b.get(k, 0) for k, v in a.items() if isinstance(v, (int, float))}


def figures_of_profile(bench):
    table = {}
    none = bench.profile.get("none")
    for n, run in bench.profile.items():
        if n != "none":
            table[n] = dict(difference(run.stats, none.stats), cpu=run.marks[n][1])
    return table


# What is divided by what to tell what recording and replaying cost.
COSTS = (("record", "run"), ("replay", "record"), ("rr", "icount"), ("rr-replay", "rr"))


def sides(bench, a, b, kind):
    """The runs to compare: those that ran beside each other, or in the same round."""
    pairs = bench.pairs.get("%s/%s" % (a, b))
    if pairs is not None:
        return [(x[kind], y[kind]) for x, y in pairs if kind in x]
    runs = bench.boots if kind == "boot" else bench.runs
    return zip(runs.get(a, []), runs.get(b, []))


def ratios(pairs):
    """Each pair's own ratio, and that of the two shortest times."""
    pairs = [(x, y) for x, y in pairs if y[0] > 0 and y[1] > 0]
    if not pairs:
        return None
    found = both((x[0] / y[0], x[1] / y[1]) for x, y in pairs)
    for i, kind in enumerate(("wall", "cpu")):
        found[kind]["shortest"] = min(x[i] for x, _ in pairs) / min(y[i] for _, y in pairs)
    return found


def figures_of_recording(bench):
    """{what: {"record/run": both()}}: a boot, each workload, and all of them."""
    table = {}

    def row(name, kind, time):
        found = {"%s/%s" % (a, b): ratios((time(x), time(y)) for x, y in sides(bench, a, b, kind))
                 for a, b in COSTS}
        if any(found.values()):
            table[name] = {k: v for k, v in found.items() if v}

    row("boot", "boot", lambda r: (r.wall, r.cpu))
    for w in bench.workloads:
        row(w.name, "work", lambda r, n=w.name: r.marks[n])
    if bench.names:
        row("boot and all", "work", lambda r: (r.wall, r.cpu))
    return table


def figures_of_logs(bench):
    """{what: {kind: bytes per 1000 instructions}}"""
    table = {}
    for (name, kind), (size, icount) in bench.logs.items():
        none = bench.logs["none", kind] if name != "none" else (0, 0)
        table.setdefault("boot" if name == "none" else name, {})[kind] = {
            "bytes": size - none[0], "icount": icount - none[1]}
    return table


def collect(bench, about):
    result = {"about": about, "memory_mb": bench.guest.memory,
              "what": {e: w[1] for e, w in engines.ENGINES.items() if e in bench.runs},
              "boot": figures_of_boot(bench.boots), "work": figures_of_work(bench),
              "memory": figures_of_memory(bench), "profile": figures_of_profile(bench),
              "recording": figures_of_recording(bench), "logs": figures_of_logs(bench),
              "io": bench.devices}
    if bench.travel:
        result["travel"] = bench.travel
    if bench.boots.get("ttd"):
        result["boot_counters"] = bench.boots["ttd"][-1].stats
        result["boot_counters"]["cpu"] = bench.boots["ttd"][-1].cpu
    return result


# ---- tables ----------------------------------------------------------------

def table(out, title, head, rows):
    cells = [head] + rows
    width = [max(len(r[i]) for r in cells) for i in range(len(head))]
    print("\n" + title, file=out)
    for r in cells:
        line = "  ".join(c.ljust(width[i]) if i == 0 else c.rjust(width[i])
                         for i, c in enumerate(r))
        print("  " + line.rstrip(), file=out)


def number(v):
    if v is None:
        return "-"
    if v == 0:
        return "0"
    a = abs(v)
    return "%.*f" % (0 if a >= 1000 else 1 if a >= 100 else 2 if a >= 1 else 3, v)


def times(s):
    if s is None:
        return "-"
    text = "%.2f" % s["median"]
    if s["runs"] > 1:
        text += " (%.2f..%.2f)" % (s["min"], s["max"])
    return text + (" %.2f" % s["shortest"] if "shortest" in s else "")


def ratio(row, a, b, kind):
    if a not in row or b not in row or row[b][kind]["median"] <= 0:
        return None
    return row[a][kind]["median"] / row[b][kind]["median"]


def pairs_of(names):
    """What is divided by what: ttd by native, the rest by ttd."""
    pairs = [("ttd", "native")] if {"ttd", "native"} <= set(names) else []
    return pairs + [(e, "ttd") for e in names if e not in ("ttd", "native") and "ttd" in names]


def show_times(out, title, rows, kind):
    """rows: {name: {engine: both()}}; a line each and the geometric means."""
    names = [e for e in dict.fromkeys(e for r in rows.values() for e in r)
             if e not in engines.ASIDE]
    if not names:
        return
    pairs = pairs_of(names)
    lines, all_ratios = [], {p: [] for p in pairs}
    for name, row in rows.items():
        ratios = {p: ratio(row, *p, kind) for p in pairs}
        for p, r in ratios.items():
            all_ratios[p].append(r)
        lines.append([name, *(times(row[e][kind] if e in row else None) for e in names),
                      *(number(ratios[p]) for p in pairs)])
    if len(rows) > 1:
        lines.append(["geometric mean"] + [""] * len(names) +
                     [number(geomean(all_ratios[p])) for p in pairs])
    table(out, title, [""] + names + ["%s/%s" % p for p in pairs], lines)


def show_shared(out, rows):
    found = {n: w["shared"] for n, w in rows.items() if "shared" in w}
    lines = [[n, times(s)] for n, s in found.items()]
    if lines:
        lines.append(["geometric mean", number(geomean(s["median"] for s in found.values()))])
        table(out, "User programs while both share a CPU, ratios of CPU time", ["", "ttd/native"],
              lines)


def show_exits(out, rows, profile):
    names = [e for e in dict.fromkeys(e for w in rows.values() for e in w["engines"])
             if e not in engines.ASIDE]
    lines = []
    for n, w in rows.items():
        cost = {e: f["cpu"]["median"] / w["count"] * 1e9 for e, f in w["engines"].items()}
        p = profile.get(n)
        lines.append([n, *(number(cost.get(e)) for e in names),
                      *("%.2f" % (p.get("cpu.exit." + x, 0) / w["count"]) if p else "-"
                        for x in EXITS)])
    table(out, "Cost of one operation, ns of CPU, and ttd's exits in it",
          [""] + names + list(EXITS), lines)


def show_recording(out, result):
    rows = result["recording"]
    costs = ["%s/%s" % c for c in COSTS]
    costs = [c for c in costs if any(c in r for r in rows.values())]
    for kind in ("cpu", "wall"):
        lines = [[n, *(times(r[c][kind] if c in r else None) for c in costs)]
                 for n, r in rows.items()]
        if lines:
            table(out, "Recording and replaying, ratios of %s time, round by round and of the shortest"
                  % ("CPU" if kind == "cpu" else "wall"), [""] + costs, lines)
    lines = []
    for n, r in result["logs"].items():
        lines.append([n, number(r["witnesses"]["icount"] / 1e6),
                      *("%.4f" % (r[k]["bytes"] * 1000 / r[k]["icount"]) for k in r),
                      *("%.1f" % (r[k]["bytes"] / 1024) for k in r)])
    if lines:
        table(out, "Logs, bytes per 1000 instructions, and KB in all",
              ["", "Minsns", "with witnesses", "without", "KB with", "KB without"], lines)


def show_memory(out, result):
    lines = []
    for e, m in result["memory"].items():
        known = "total" in m
        lines.append([e, "%.0f" % (m["max"] / 2**20),
                      "%.0f" % (m["guest"] / 2**20) if known else "-",
                      "%.0f" % ((m["max"] - m["guest"]) / 2**20) if known else "-",
                      "%.1f" % (m["log"] / 2**20) if m["log"] else "-",
                      "%.0f" % (m["log"] / m["wall"] / 1024) if m["log"] else "-"])
    table(out, "Memory, MB (guest memory %d), and what was recorded" % result["memory_mb"],
          ["", "max RSS", "of it guest's", "overhead", "log MB", "KB/s"], lines)


def per_kilo(p, key):
    return number(p.get(key, 0) * 1000 / p["icount"]) if p.get("icount") else "-"


def profile_line(name, p):
    cpu = p["cpu"] or 1e-9
    # Measured on the wall clock: on a busy machine the difference may be negative.
    share = "%.1f" % (p.get("cpu.translate_ns", 0) / 1e7 / cpu)
    return [name, number(p["icount"] / 1e6), number(p["icount"] / cpu / 1e6),
            number(p["icount"] / p["brctr"] if p["brctr"] else None),
            per_kilo(p, "cpu.tlb_slow"), per_kilo(p, "mem.walks"),
            per_kilo(p, "cpu.block_lookups"),
            *(per_kilo(p, "cpu.exit." + x) for x in EXITS), per_kilo(p, "cpu.string_helpers"),
            per_kilo(p, "cpu.careful_steps"), number(p.get("cpu.blocks")),
            share if share >= "0" else "-"]


def show_profile(out, result):
    lines = []
    boot = result.get("boot_counters")
    if boot:
        lines.append(profile_line("boot", boot))
    lines += [profile_line(n, p) for n, p in result["profile"].items()]
    if lines:
        table(out, "ttd's counters (rates per 1000 guest instructions)",
              ["", "Minsns", "MIPS", "insn/br", "tlb-slow", "walks", "lookups", *EXITS,
               "string", "careful", "blocks", "transl%"], lines)
    if boot:
        show_code(out, boot)


def show_code(out, c):
    if not c.get("cpu.blocks"):
        return
    print("\n  code of a boot: %d blocks of %.1f instructions, %.2f MB of guest code "
          "into %.2f MB (%.1f for 1), %.2f us to translate an instruction"
          % (c["cpu.blocks"], c["cpu.guest_insns"] / c["cpu.blocks"],
             c["cpu.guest_bytes"] / 1e6, c["cpu.host_bytes"] / 1e6,
             c["cpu.host_bytes"] / c["cpu.guest_bytes"],
             c["cpu.translate_ns"] / 1e3 / c["cpu.guest_insns"]), file=out)


def rounds_of(result):
    """How many runs each engine had."""
    n = {}
    for row in [result["boot"], *(w["engines"] for w in result["work"].values())]:
        for e, f in row.items():
            n[e] = max(n.get(e, 0), f["cpu"]["runs"])
    return n


def show(result, out):
    about = result["about"]
    print("%s, Linux %s; %d s in all" % (about["cpu"], about["host"], about["seconds"]),
          file=out)
    for e, what in result["what"].items():
        print("  %-8s %s" % (e, what), file=out)
    if about["load"] > 0.5:
        print("The machine was busy (load %.1f): times, of the wall above all, are too long "
              "and unsteady." % about["load"], file=out)
    if result["boot"] or result["work"]:
        print("Medians (min..max) of so many runs: " +
              ", ".join("%s %d" % r for r in rounds_of(result).items()), file=out)
    if result["boot"]:
        show_times(out, "Boot to power-off, CPU seconds", {"boot": result["boot"]}, "cpu")
        show_times(out, "Boot to power-off, wall seconds", {"boot": result["boot"]}, "wall")
    user = {n: w["engines"] for n, w in result["work"].items() if w["set"] == "user"}
    if user:
        show_times(out, "User programs, CPU seconds", user, "cpu")
        show_times(out, "User programs, wall seconds", user, "wall")
        show_shared(out, result["work"])
    exits = {n: w for n, w in result["work"].items() if w["set"] == "exit"}
    if exits:
        show_exits(out, exits, result["profile"])
    show_recording(out, result)
    show_profile(out, result)
    if result["memory"]:
        show_memory(out, result)
    if "travel" in result:
        table(out, "Going to and fro in a recording", ["", "figures"], travel.rows(result["travel"]))
