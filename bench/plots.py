# SPDX-License-Identifier: BSD-3-Clause
"""Rows as pictures: a function for each benchmark gives figures by file name."""

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot  # noqa: E402 - the backend has to be chosen first.

PERCENTILES = {"p50_us": "50 %", "p90_us": "90 %", "p99_us": "99 %", "p999_us": "99.9 %",
               "max_us": "longest"}


def figure(title, x, y):
    made, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    return made, axes


def bars(title, y, groups, series):
    """Bars side by side: `series` is values by name, one for each group."""
    made, axes = figure(title, "", y)
    width = 0.8 / len(series)
    for number, (name, values) in enumerate(series.items()):
        drawn = axes.bar([i + number * width for i in range(len(groups))], values, width, label=name)
        axes.bar_label(drawn, fmt="%.3g", fontsize="small")
    axes.set_xticks([i + 0.4 - width / 2 for i in range(len(groups))], groups)
    axes.legend()
    return made


def throughput(rows):
    figures = {}
    by_flows = [row for row in rows if row["frame_bytes"] == 64]
    if by_flows:
        made, axes = figures["throughput-by-flows"], _ = figure("64-byte frames, one core", "flows", "Mpps")
        for scenario in dict.fromkeys(row["scenario"] for row in by_flows):
            lines = [("mpps", scenario, "o-")]
            if scenario == "full":
                lines += [("testpmd_io_mpps", "testpmd io", "s--"), ("ovs_mpps", "Open vSwitch (full)", "^:")]
            for key, label, style in lines:
                points = sorted((row["flows"], row[key]) for row in by_flows
                                if row["scenario"] == scenario and row[key] is not None)
                axes.plot(*zip(*points), style, label=label) if points else None
        axes.set(xscale="log", yscale="log")
        axes.legend()
    by_frame = [row for row in rows if row["scenario"] == "full" and row["flows"] == 1_000]
    if by_frame:
        by_frame.sort(key=lambda row: (row["frame_bytes"] == "imix", str(row["frame_bytes"]).zfill(5)))
        figures["throughput-by-frame"] = bars(
            "full, 1,000 flows, one core", "Mpps", [row["frame_bytes"] for row in by_frame],
            {"Gannet": [row["mpps"] for row in by_frame],
             "testpmd io": [row["testpmd_io_mpps"] for row in by_frame]})
    return figures


def latency(rows):
    made, axes = figure(f"latency of {rows[0]['scenario']}, the same rates through both", "share of packets",
                        "microseconds")
    for color, row in enumerate(rows):
        for prefix, name, style in (("", "Gannet", "o-"), ("testpmd_", "testpmd io", "s--")):
            axes.plot(list(PERCENTILES.values()), [row[prefix + key] for key in PERCENTILES], style,
                      color=f"C{color}", label=f"{name}, load {row['load']}: {row['mpps']} Mpps")
    axes.set_yscale("log")
    axes.legend()
    return {"latency": made}


def connections(rows):
    found = [row for row in rows if "ratio_to_1000_rules" in row]
    names = list(dict.fromkeys(row["scenario"] for row in found))
    rules = list(dict.fromkeys(row["rules"] for row in found))
    rates = {(row["scenario"], row["rules"]): row["connections_per_second"] / 1e6 for row in found}
    return {"connections": bars(
        "new connections, one core", "million a second", names,
        {f"{count} rules": [rates[name, count] for name in names] for count in rules})} if found else {}


def offload(rows):
    row = rows[0]
    times = {"to the card, p50": row["time_to_offload_p50_us"] / 1e3,
             "to the card, p99": row["time_to_offload_p99_us"] / 1e3,
             "all conform to a new policy": row["convergence_ms"]}
    made, axes = figure(f"the card: {row['insert_per_second']:,.0f} rules a second, hit ratio "
                        f"{row['hit_ratio']}", "milliseconds", "")
    axes.bar_label(axes.barh(list(times), list(times.values())), fmt="%.3g")
    axes.set_xscale("log")
    return {"offload": made}


def report(rows):
    made, axes = figure(f"steps of {rows[0]['scenario']}", "flows", "cycles a packet")
    names = [f"{row['flows']:,}" for row in rows]
    below = [0] * len(rows)
    for step in (key for key in rows[0] if key.endswith("_cycles")):
        values = [row[step] for row in rows]
        axes.bar_label(axes.bar(names, values, bottom=below, label=step.removesuffix("_cycles")),
                       label_type="center", fmt="%.0f")
        below = [sum(pair) for pair in zip(below, values)]
    axes.legend()
    return {"report": made}


def micro(rows):
    made, axes = figure("look-ups, one at a time", "entries", "nanoseconds")
    for name in ("look_up", "acl", "lpm"):
        points = [(int(row["benchmark"].rpartition("/")[2]), row["ns"]) for row in rows
                  if row["benchmark"].startswith(name + "/")]
        axes.plot(*zip(*points), "o-", label=name) if points else None
    axes.set_xscale("log")
    if not axes.lines:
        return {}
    axes.legend()
    return {"micro": made}


def draw(benchmark, rows, folder):
    """Writes what there is to see of a benchmark's rows, as PNG and SVG."""
    make = globals().get(benchmark) if rows else None
    for name, made in (make(rows) if make else {}).items():
        for kind in ("png", "svg"):
            made.savefig(folder / f"{name}.{kind}", dpi=120)
        pyplot.close(made)
