"""Makes every figure of docs/results.md again: python -m launch.results --data=DIR.

Finished runs are not run again, so a second call resumes. What cannot be run is listed
with the reason.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
from typing import Any

import jax
from absl import flags, logging

from cxr_jax.devices.terminal import say
from cxr_jax.report.figures import style
from tfds_builders.common import command, files
from tfds_builders.common.errors import InputError
from tfds_builders.common.places import expanded

from . import outcome, results_page, row
from .arms import FULL, QUICK, Settings
from .outcome import FAILED, NEEDS, STOPPED, Outcome
from .releases import Releases

_DATA = flags.DEFINE_string(
    "data", "", "A folder that holds releases, or samples laid out like them."
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", "", "Where datasets are prepared already; others go to --out."
)
_WEIGHTS = flags.DEFINE_string(
    "weights", "", "ImageNet weights of MobileNetV2, for the rows that begin with them."
)
_OUT = flags.DEFINE_string("out", "runs/results", "Folder of runs, tables and picture.")
_QUICK = flags.DEFINE_bool("quick", False, "Short trainings of one seed.")
_RUN = flags.DEFINE_bool(
    "run", True, "--norun makes the tables of what is finished, and trains nothing."
)
_ONLY = flags.DEFINE_list("only", [], "Names of rows; all, if omitted.")


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise InputError("command line", f"{argv[1:]}: not a flag", "see --help")
    # The libraries' own reports are for their developers.
    logging.set_verbosity(logging.ERROR)
    rows = row.read()
    asked_for = _asked(rows, _ONLY.value, _QUICK.value)
    out = expanded(_OUT.value)
    # With absolute paths the commands of runs can be started from anywhere.
    data, prepared, weights = (_there(flag) for flag in (_DATA, _DATA_DIR, _WEIGHTS))
    folder = out.absolute() / (QUICK if _QUICK.value else FULL)
    settings = Settings(folder, weights, _QUICK.value, _RUN.value)
    releases = Releases(data, prepared, out.absolute())
    flags_of_programs = {"brixia": data, "data_dir": out.absolute() / "data"}
    found: list[Outcome] = []
    for number, each in enumerate(rows, 1):
        is_asked = each.name in asked_for
        if is_asked:
            say(f"[{number}/{len(rows)}] {each.name}: {each.title}")
        # Of the others the tables keep what is finished.
        now = settings if is_asked else settings._replace(start=False)
        asked = each, now, releases, flags_of_programs
        found.append(outcome.of(*asked))
        if not now.start and not found[-1].figures and not now.quick:
            found[-1] = _short(found[-1], *asked)
        if now.quick and each.quick_skip and found[-1].state == STOPPED:
            found[-1] = _left_out(found[-1])
        if is_asked:
            write(folder, found, [*found, *_later(rows[number:])])
        if found[-1].code:
            break
    write(folder, found, [*found, *_later(rows[len(found) :])])
    shown = [each for each in found if each.row.name in asked_for]
    say(f"\n{results_page.summary(shown)}\n\nwritten: {folder / 'results.md'}")
    if found[-1].code:
        say("stopped; run the same command again to resume")
        return found[-1].code
    return 1 if any(each.state == FAILED for each in shown) else 0


def _short(otherwise: Outcome, each: row.Row, settings: Settings, *rest) -> Outcome:
    """The row of --quick, where that has figures."""
    folder = settings.folder.with_name(QUICK)
    found = outcome.of(each, settings._replace(folder=folder, quick=True), *rest)
    return found if found.figures else otherwise


def _left_out(found: Outcome) -> Outcome:
    reason = f"left out of --quick: {found.row.quick_skip}"
    hint = f"make results, or make results QUICK=1 ONLY={found.row.name}"
    return found._replace(state=NEEDS, reason=reason, hint=hint)


def _there(flag: flags.FlagHolder) -> pathlib.Path | None:
    if not flag.value:
        return None
    # Without '..': the path is part of the configs of runs, which are known by them.
    path = pathlib.Path(os.path.abspath(expanded(flag.value)))
    if not path.exists():
        raise InputError(f"--{flag.name}", f"there is no {path}", "give another path")
    return path


def _asked(rows: list[row.Row], names: list[str], quick: bool) -> list[str]:
    """The rows to run: those named, else all that are not left out."""
    known = [each.name for each in rows]
    if unknown := [name for name in names if name not in known]:
        hint = f"choose from: {', '.join(known)}"
        raise InputError("--only", f"unknown rows: {', '.join(unknown)}", hint)
    return names or [each.name for each in rows if not (quick and each.quick_skip)]


def _later(rows: list[row.Row]) -> list[Outcome]:
    hint = "run the same command again to resume"
    return [Outcome(each, outcome.STOPPED, "not begun", hint) for each in rows]


def write(folder: pathlib.Path, found: list[Outcome], whole: list[Outcome]) -> None:
    """Writes results.md, results.json and the picture, as far as there are figures."""
    parts = [
        "# Results",
        f"Measured with jax {jax.__version__}, Python {sys.version.split()[0]}"
        + (", --quick: short trainings of one seed." if folder.name == QUICK else "."),
    ]
    if (figure := results_page.picture(found)) is not None:
        files.write_bytes(folder / "results.svg", style.to_svg(figure))
        files.write_bytes(folder / "results.png", style.to_png(figure))
        parts.append("![Claimed, reproduced, honest, elsewhere](results.png)")
    parts += [
        results_page.table(whole),
        "## Needs the release",
        results_page.protocols(whole),
        "## Configs, commands, reports",
        results_page.commands(whole, ""),
        "## Not measured",
        results_page.missing(whole),
    ]
    files.write_text(folder / "results.md", "\n\n".join(parts) + "\n")
    content = {"jax": jax.__version__, "rows": [_to_json(each) for each in whole]}
    files.write_text(folder / "results.json", json.dumps(content, indent=1) + "\n")


def _to_json(each: Outcome) -> dict[str, Any]:
    external, audit = each.external, each.audit
    return {
        "name": each.row.name,
        "state": each.state,
        "reason": each.reason,
        "hint": each.hint,
        "arms": {
            name: {
                "metrics": {k: v.to_json() for k, v in arm.estimates.items()},
                "constant": arm.constant,
                "by_seed": arm.by_seed,
                "images": arm.images,
                arm.unit: arm.patients,
                "minutes": round(arm.minutes, 2) if arm.minutes >= 0 else None,
                "leaks": arm.leaks and arm.leaks._asdict(),
            }
            for name, arm in each.figures.items()
        },
        "external": external
        and {
            "name": external.name,
            "metrics": {k: v.to_json() for k, v in external.estimates.items()},
            "drop": {k: v.to_json() for k, v in external.drops.items()},
            "images": external.images,
            "patients": external.patients,
            "copies": external.copies,
        },
        "audit": audit
        and {
            "border": audit.border and audit.border.to_json(),
            "leaks": audit.leaks,
            "shortcut": audit.shortcut,
            "mostly_shortcut": outcome.is_mostly_shortcut(each),
        },
    }


if __name__ == "__main__":
    sys.argv[0] = f"{__package__}"
    command.run(main, interrupted="run the same command again to resume")
