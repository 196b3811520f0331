"""Damaged files through the readers: `python -m tests.fuzz --n=10000 --seed=0`.

    --kind=dicom,png    only some kinds
    --kind=dicom --case=17    one case: prints its verdict and saves its file

Exits with 1 if there are faults.
"""

import os

if __name__ == "__main__":  # before NumPy and jax are imported
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")

import argparse
import collections
import pathlib
import sys
import tempfile

import cv2

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))

from tests.fuzz import children
from tests.fuzz.kinds import KINDS, plan

_FINE = ("same", "other", "noted", "refused")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--n", type=int, default=1000, help="number of cases")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", default=",".join(KINDS))
    parser.add_argument("--case", type=int, help="the number of one case")
    options = parser.parse_args(arguments)
    names = options.kind.split(",")
    if unknown := set(names) - KINDS.keys():
        parser.error(f"unknown kind {min(unknown)}; known: {', '.join(KINDS)}")
    cv2.setNumThreads(1)
    if options.case is not None:
        return _show(names[0], options.case)
    verdicts = []
    for verdict in children.run(KINDS, plan(names, options.n, options.seed)):
        verdicts.append(verdict)
        if len(verdicts) % 100 == 0 and sys.stderr.isatty():
            print(f"\r{len(verdicts)} of {options.n}", end="", file=sys.stderr)
    print(table(verdicts))
    print(faults(verdicts))
    return int(any(verdict.is_fault for verdict in verdicts))


def _show(name: str, number: int) -> int:
    verdict, case = children.verdict_of(KINDS, name, number)
    folder = pathlib.Path(tempfile.gettempdir(), f"fuzz-{name}-{number}")
    folder.mkdir(exist_ok=True)
    where = ""
    if case.data is not None:
        where = f"\nfile: {KINDS[name].place(folder, case)}"
    print(f"{name} {number}: {case.original}, {case.mutation} ({case.demand} expected)")
    print(f"{verdict.outcome}: {verdict.detail}{where}")
    return int(verdict.is_fault)


def table(verdicts: list[children.Verdict]) -> str:
    """Outcomes of the cases of each kind, in Markdown."""
    heads = ("unchanged", "other values", "with a note", "refused", *children.FAULTS)
    lines = [
        f"| kind | cases | {' | '.join(heads)} |",
        "|---|" + "---:|" * (len(heads) + 1),
    ]
    for name in [*dict.fromkeys(v.kind for v in verdicts), "all"]:
        own = [v for v in verdicts if name in (v.kind, "all")]
        found = collections.Counter(v.outcome for v in own)
        cells = [len(own), *(found[o] for o in (*_FINE, *children.FAULTS))]
        lines.append(f"| {name} | {' | '.join(f'{cell:,}' for cell in cells)} |")
    return "\n".join(lines)


def faults(verdicts: list[children.Verdict]) -> str:
    """One line per distinct fault: how often, its first case, what happened."""
    groups = collections.defaultdict(list)
    for v in filter(lambda v: v.is_fault, verdicts):
        # 'KeyError at file.py:12', or the beginning of a message.
        text = v.detail.partition(": ")[0][:60]
        text = v.mutation if v.outcome == "silent" else text
        groups[v.kind, v.outcome, text].append(v)
    lines = [f"{len(groups)} distinct faults"]
    for (kind, outcome, _), found in sorted(groups.items()):
        first = found[0]
        also = sorted({v.original for v in found})
        made = sorted({v.mutation for v in found})
        lines.append(
            f"{kind} {outcome}, {len(found)} cases, --kind={kind} "
            f"--case={first.number}: {'; '.join(made[:6])} of {'; '.join(also[:8])}: "
            f"{first.detail}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
