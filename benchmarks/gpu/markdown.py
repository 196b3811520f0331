"""The table of a GPU in Markdown, of whatever rows there are."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.gpu import peaks

Found = dict[str, Any]
_HEAD = (
    "| model, dtype | batch | ours, images/s | eager | `torch.compile` | against eager | "
    "against compiled | of the peak FLOP/s | of the bandwidth | first step, s: ours, "
    "eager, compiled |\n|---|---|---|---|---|---|---|---|---|---|"
)
_RATES = (
    "| films/s | batch | ours | eager | `torch.compile` | against eager | against "
    "compiled |\n|---|---|---|---|---|---|---|"
)


def page(results: Found) -> str:
    """Everything that was found.

    Args:
      results: {'machine', 'sizes', 'lacks', 'rows': {name: found}}.
    """
    rows = results["rows"]
    device = next((row["device"] for row in rows.values() if row.get("device")), "")
    parts = [
        f"# {device or 'no device'}\n\n{results['machine']}; sizes: {results['sizes']}"
    ]
    if results["lacks"]:
        parts.append("\n".join(f"- {line}" for line in results["lacks"]))
    for part in (_ceilings, _steps, _idle, _members, _whole, _rates, _forms):
        text = part(rows, device)
        if text:
            parts.append(text)
    problems = [
        f"| {name} | {row['problem']} |"
        for name, row in rows.items()
        if "problem" in row
    ]
    if problems:
        parts.append("\n".join(["| not measured | why |\n|---|---|", *problems]))
    return "\n\n".join(parts) + "\n"


def _ceilings(rows: Found, device: str) -> str:
    found = rows.get("ceilings", {})
    if "flops" not in found:
        return ""
    peak = peaks.of(device)
    lines = ["| reached at most | measured | data sheet |\n|---|---|---|"]
    for dtype, value in found["flops"].items():
        most = f"{peak.flops[dtype] / 1e12:.0f}" if peak else "unknown"
        lines.append(
            f"| matrix product {dtype}, TFLOP/s | {value / 1e12:.3g} | {most} |"
        )
    most = f"{peak.bandwidth / 1e9:.0f}" if peak else "unknown"
    lines.append(f"| copy, GB/s | {found['bandwidth'] / 1e9:.3g} | {most} |")
    return "\n".join(lines)


def _steps(rows: Found, device: str) -> str:
    lines = []
    for name, row in rows.items():
        if not name.startswith("steps ") or "trainers" not in row:
            continue
        ours = row["trainers"]["ours"]
        cells = [f"{row['model']}, {row['dtype']}", _batches(row), *_speeds(row)]
        cells += _shares(ours, row["dtype"], device)
        firsts = [each.get("first") for each in row["trainers"].values()]
        cells.append(", ".join(f"{s:.0f}" if s else "-" for s in firsts))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([f"## Training steps\n\n{_HEAD}", *lines]) if lines else ""


def _rates(rows: Found, device: str) -> str:
    lines = []
    for name in ("predictions", "features"):
        row = rows.get(name, {})
        if "trainers" in row:
            cells = [f"{name}, {row['model']}", _batches(row), *_speeds(row)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([f"## Scoring\n\n{_RATES}", *lines]) if lines else ""


def _batches(row: Found) -> str:
    sizes = [each.get("batch") for each in row["trainers"].values()]
    return ", ".join("-" if size is None else str(size) for size in sizes)


def _speeds(row: Found) -> list[str]:
    """Images/s of the three, and ours against the two others."""
    middles = {}
    for name, each in row["trainers"].items():
        middles[name] = statistics.median(each["seconds"]) if each["seconds"] else None
    cells = []
    for name, each in row["trainers"].items():
        if middles[name] is None:
            cells.append(each.get("problem", "not timed"))
            continue
        rates = [1 / seconds for seconds in each["seconds"]]
        spread = f"{min(rates):,.0f}-{max(rates):,.0f}, n={len(rates)}"
        cells.append(f"{1 / middles[name]:,.0f} ({spread})")
    ours, *others = middles.values()
    return cells + [
        f"{other / ours:.2f}x" if ours and other else "-" for other in others
    ]


def _shares(ours: Found, dtype: str, device: str) -> list[str]:
    """Of the peak operations and of the memory's bandwidth, by the data sheet."""
    peak = peaks.of(device)
    if not ours["seconds"]:
        return ["-", "-"]
    if peak is None:
        return ["unknown", "unknown"]
    step = statistics.median(ours["seconds"]) * ours["batch"]
    shares = [f"{100 * ours['flops'] / step / peak.flops[dtype]:.0f} %"]
    moved = ours.get("bytes")
    shares.append(
        f"{100 * moved / step / peak.bandwidth:.0f} %" if moved else "unknown"
    )
    return shares


def _idle(rows: Found, device: str) -> str:
    row = rows.get("idle", {})
    if "images_per_s" not in row:
        return ""
    idle = "unknown" if row["idle"] is None else f"{100 * row['idle']:.1f} %"
    return (
        f"## The loop\n\n{row['model']}, {row['dtype']}, batch {row['batch']}, pictures "
        f"on the device, augmentation as in a training: {row['images_per_s']:,.0f} "
        f"images/s, the device idle for {idle} of the time; first call "
        f"{row['first']:.0f} s"
    )


def _members(rows: Found, device: str) -> str:
    row = rows.get("members", {})
    if "members" not in row:
        return ""
    head = f"## Members\n\n{row['model']}, {row['side']} px, batch {row['batch']} each"
    columns = "| members | s a step | against so many runs | first call, s |"
    lines = [f"{head}\n\n{columns}\n|---|---|---|---|"]
    one = row["members"].get("1", {}).get("step")
    for count, found in row["members"].items():
        if "problem" in found:
            lines.append(f"| {count} | {found['problem']} | - | - |")
            continue
        ratio = f"{found['step'] / (int(count) * one):.2f}" if one else "-"
        lines.append(
            f"| {count} | {found['step']:.4f} | {ratio} | {found['first']:.0f} |"
        )
    return "\n".join(lines)


def _whole(rows: Found, device: str) -> str:
    row = rows.get("whole training", {})
    if not row.get("rows"):
        return ""
    theirs = row["rows"].get("PyTorch")
    head = f"## A whole training\n\n{row['model']}, {row['films']:,} drawn films, "
    head += "seconds from the start of the command"
    columns = f"| | first step | end of epoch 1 | end of epoch {row['epochs']} |"
    lines = [f"{head}\n\n{columns}\n|---|---|---|---|"]
    for name, found in row["rows"].items():
        cells = ["failed: see the log"] * 3
        if found:
            cells = [f"{seconds:.1f}" for seconds in found]
            if theirs and name != "PyTorch":
                pairs = zip(found, theirs, strict=True)
                cells = [f"{a:.1f}, {a / b:.2f}x" for a, b in pairs]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _forms(rows: Found, device: str) -> str:
    row = rows.get("forms", {})
    if "forms" not in row:
        return ""
    lines = [
        "## Two ways to write an operation\n",
        f"Forward and backward, {row['dtype']}, batch {row['batch']}; the first is ours\n",
        "| operation | ms | ms of the other | the other against ours |\n|---|---|---|---|",
    ]
    for name, (mine, other) in row["forms"].items():
        cells = (name, f"{1e3 * mine:.3f}", f"{1e3 * other:.3f}", f"{other / mine:.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
