"""The table that people read, and the bounds that issue from it."""

BOUND_SLOTS = 8
NOISE_MAX = 0.15      # rounds further apart, or more of the CPU taken by others: a ratio says little


def rate(n):
    return "-" if n is None else "%s" % format(int(round(n)), ",")


def ratio(a, b):
    return a / b if a and b else None


def times(x, unit=" x"):
    return "-" if x is None else "%.2f%s" % (x, unit)


def percent(x):
    return "-" if x is None else "%.0f %%" % (100 * x)


def table(head, rows, words=()):
    """Numbers to the right; the first column and those in `words` to the left."""
    rows = [head] + rows
    wide = [max(len(r[i]) for r in rows) for i in range(len(head))]
    lines = ["  ".join(c.ljust(w) if i == 0 or i in words else c.rjust(w) for i, (c, w) in enumerate(zip(r, wide))).rstrip() for r in rows]
    lines.insert(1, "  ".join("-" * w for w in wide))
    return "\n".join(lines)


def best(runs):
    """The best round: noise on a shared machine only ever takes away."""
    return max(runs, key=lambda r: r["rate"]) if runs else None


def spread(runs):
    rates = [r["rate"] for r in runs]
    return (max(rates) - min(rates)) / max(rates) if len(rates) > 1 else None


def median(values):
    values = sorted(values)
    return values[len(values) // 2] if values else None


def summarise(data):
    """Adds to the raw runs what is derived from them: best rates, ratios, bounds."""
    out = {"consume": {}, "publish": {}, "memory": {}, "start": {}}
    for slots, systems in data["consume"].items():
        row = {k: best(runs)["rate"] for k, runs in systems.items() if runs}
        out["consume"][slots] = {
            "rate": row, "spread": {k: spread(runs) for k, runs in systems.items() if runs},
            "cpu_us_per_task": {k: best(runs)["cpu_us_per_task"] for k, runs in systems.items() if runs},
            "others": {k: best(runs)["others"] for k, runs in systems.items() if runs},
            "c_over_celery": ratio(row.get("warren-c"), row.get("celery")),
            "c_over_raw": ratio(row.get("warren-c"), row.get("raw")),
            "py_over_celery": ratio(row.get("warren-py"), row.get("celery")),
            "app_over_celery": ratio(row.get("warren-celery"), row.get("celery")),
        }
    raw = best(data["publish"].get("raw"))
    for key, runs in data["publish"].items():
        top = best(runs)
        if top:
            out["publish"][key] = {"rate": top["rate"], "spread": spread(runs), "others": top["others"],
                                   "over_raw": raw and top["rate"] / raw["rate"]}
    out["cost"] = {k: {"rate": best(runs)["rate"], "spread": spread(runs), "others": best(runs)["others"],
                       **{f: min(r[f] for r in runs) for f in ("cpu_us_per_task", "redis_us_per_task", "all_us_per_task")}}
                   for k, runs in data.get("cost", {}).items() if runs}
    out["memory"] = {k: runs[-1] for k, runs in data["memory"].items() if runs}
    for key, runs in data["start"].items():
        if runs:
            out["start"][key] = {f: median([r[f] for r in runs]) for f in ("slots", "ready", "first_result")}
    out["bounds"] = bounds(out)
    return out


def bounds(s):
    """What the project asks of itself. met is None where nothing was measured."""
    at = s["consume"].get(str(BOUND_SLOTS), {})
    mem, begin = s["memory"], s["start"]

    sent = s["publish"]

    def noise(*systems):
        return max(at.get(what, {}).get(k) or 0 for what in ("spread", "others") for k in systems)

    def kib(system, field):
        return mem[system][field] / 1024 if system in mem else None

    rows = [
        ("C slots / Celery, %d slots" % BOUND_SLOTS, at.get("c_over_celery"), ">=", 3.5, "x", noise("warren-c", "celery")),
        ("C slots / raw loop, %d slots" % BOUND_SLOTS, at.get("c_over_raw"), ">=", 0.5, "x", noise("warren-c", "raw")),
        ("Python slots / Celery, %d slots" % BOUND_SLOTS, at.get("py_over_celery"), ">=", 2.0, "x", noise("warren-py", "celery")),
        ("Celery app in ours / Celery, %d slots" % BOUND_SLOTS, at.get("app_over_celery"), ">=", 2.0, "x",
         noise("warren-celery", "celery")),
        ("bulk publishing / raw", sent.get("warren", {}).get("over_raw"), ">=", 0.8, "x",
         max(sent.get(k, {}).get(what) or 0 for what in ("spread", "others") for k in ("raw", "warren"))),
        ("idle PSS, daemon with C slots", kib("warren-c", "daemon_kib"), "<", 8.0, "MiB", 0),
        ("idle PSS, daemon with Python slots", kib("warren-py", "daemon_kib"), "<", 8.0, "MiB", 0),
        ("idle PSS, largest C child", kib("warren-c", "child_max_kib"), "<", 3.0, "MiB", 0),
        ("idle PSS, largest Python child", kib("warren-py", "child_max_kib"), "<", 14.0, "MiB", 0),
        ("idle PSS, Celery app in ours / Celery", ratio(kib("warren-celery", "total_kib"), kib("celery", "total_kib")), "<", 1.0, "x",
         0),
        ("ready with C slots", begin.get("warren-c", {}).get("ready"), "<", 0.3, "s", 0),
    ]
    found = []
    for what, value, op, limit, unit, noisy in rows:
        met = None if value is None else value >= limit if op == ">=" else value < limit
        found.append({"what": what, "value": value, "op": op, "limit": limit, "unit": unit, "met": met, "noise": noisy})
    return found


def verdict(bound):
    word = {True: "met", False: "NOT MET", None: "not measured"}[bound["met"]]
    if bound["met"] is not None and bound["noise"] > NOISE_MAX:
        word += ", but noisy (%s)" % percent(bound["noise"])
    return word


def render(data, titles):
    s, parts = data["summary"], []
    which = "one round" if data["rounds"] == 1 else "best of %d rounds" % data["rounds"]
    keys = [k for k in titles if any(k in row["rate"] for row in s["consume"].values())]
    if s["consume"]:
        head = ["slots"] + [titles[k] for k in keys] + ["C/Celery", "C/raw", "Python/Celery"]
        rows, cpu, noise, others = [], [], [], []
        for slots, row in s["consume"].items():
            rows.append([slots] + [rate(row["rate"].get(k)) for k in keys] +
                        [times(row["c_over_celery"]), percent(row["c_over_raw"]), times(row["py_over_celery"])])
            cpu.append([slots] + [rate(row["cpu_us_per_task"].get(k)) for k in keys])
            noise.append([slots] + [percent(row["spread"].get(k)) for k in keys])
            others.append([slots] + [percent(row["others"].get(k)) for k in keys])
        parts.append("No-op tasks with results, tasks per second (%s)\n%s" % (which, table(head, rows)))
        parts.append("  CPU of the worker and its children, microseconds per task\n" + table(head[:len(keys) + 1], cpu))
        if data["rounds"] > 1:
            parts.append("  distance between best and worst round\n" + table(head[:len(keys) + 1], noise))
        parts.append("  CPU of this machine that others took meanwhile\n" + table(head[:len(keys) + 1], others))
    if s["cost"]:
        plain = s["cost"].get("neither", {}).get("rate")
        rows = [[data["variants"][k], rate(c["rate"]), percent(ratio(c["rate"], plain)), "%.1f" % c["cpu_us_per_task"], "%.1f" % c["redis_us_per_task"], "%.1f" % c["all_us_per_task"], percent(c["spread"]),
                 percent(c["others"])] for k, c in s["cost"].items()]
        parts.append("What is written beside the results, warren C, 8 slots, tasks per second (%s)\n%s" %
                     (which, table(["", "rate", "of neither", "worker, us of CPU", "Redis", "all", "best to worst", "others' CPU"], rows)))
    if s["publish"]:
        rows = [[data["producers"][k], rate(p["rate"]), percent(p["over_raw"]), percent(p["spread"]), percent(p["others"])]
                for k, p in s["publish"].items()]
        parts.append("Publishing, messages per second (%s)\n%s" %
                     (which, table(["", "rate", "of raw", "best to worst", "others' CPU"], rows)))
    if s["memory"]:
        rows = [[titles[k], str(m["slots"])] + ["%.1f" % (m[f] / 1024) for f in
                ("daemon_kib", "child_kib", "child_max_kib", "total_kib")] for k, m in s["memory"].items()]
        parts.append("Idle memory, PSS in MiB, after some tasks\n" +
                     table(["", "slots", "daemon", "child (median)", "child (largest)", "all"], rows))
    if s["start"]:
        rows = [[titles[k], str(m["slots"]), "%.3f" % m["ready"], "%.3f" % m["first_result"]] for k, m in s["start"].items()]
        parts.append("Start, seconds since exec (median)\n" + table(["", "slots", "ready", "first result"], rows))
    rows = [[b["what"], "-" if b["value"] is None else "%.2f" % b["value"], "%s %g %s" % (b["op"], b["limit"], b["unit"]),
             verdict(b)] for b in s["bounds"]]
    parts.append("Bounds\n" + table(["", "measured", "asked", ""], rows, words=(2, 3)))
    return "\n\n".join(parts)
