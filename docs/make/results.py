"""Puts the tables of `make results` into docs/results.md, and its picture beside it.

    python -m docs.make.results runs/results/full

Everything between `<!-- NAME -->` and `<!-- end -->` in the page is replaced by the
section NAME of results.md in that folder.
"""

import pathlib
import re
import sys

_DOCS = pathlib.Path(__file__).parents[1]
# The sections of results.md by the names in the page; the first has no heading.
SECTIONS = {
    "measured with": "# Results",
    "table": "![Claimed",
    "protocols": "## Needs the release",
    "commands": "## Configs",
    "missing": "## Not measured",
}


def sections(text: str) -> dict[str, str]:
    """{name: what stands below its heading} of results.md."""
    starts = {name: text.find(head) for name, head in SECTIONS.items()}
    there = sorted((at, name) for name, at in starts.items() if at >= 0)
    ends = [at for at, _ in there[1:]] + [len(text)]
    return {
        name: text[at:end].partition("\n")[2].strip()
        for (at, name), end in zip(there, ends, strict=True)
    }


def filled(page: str, found: dict[str, str]) -> str:
    """The page with its marked parts replaced."""
    for name, body in found.items():
        # Links of the folder's page are those of the repository's root.
        body = body.replace("](configs/", "](../configs/")
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        page = re.sub(
            pattern, lambda m, b=body: m[1] + b + "\n" + m[2], page, flags=re.DOTALL
        )
    return page


def main(folder: pathlib.Path) -> None:
    page = _DOCS / "results.md"
    found = sections((folder / "results.md").read_text(encoding="utf-8"))
    page.write_text(filled(page.read_text(encoding="utf-8"), found), encoding="utf-8")
    picture = (folder / "results.svg").read_bytes()
    (_DOCS / "results.svg").write_bytes(picture)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
