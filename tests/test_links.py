"""Links, headings, files and commands that the pages name exist."""

import re

import pytest
from places import REPOSITORY

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "benchmarks/*.md", "tfds_builders/*/*.md")
    for path in REPOSITORY.glob(pattern)
)
TOPS = ("benchmarks", "configs", "cxr_jax", "docs", "launch", "tests", "tfds_builders")
FILES = {
    f"/{p.relative_to(REPOSITORY)}" for t in TOPS for p in REPOSITORY.glob(f"{t}/**/*")
}
ELSEWHERE = {"src/datasets/brixiascore_cohen.py"}  # in the BrixIA repository
LINK = re.compile(r"(?:\]\(|src=\")([^)#\s\"]*)(?:#([^)\s]+))?[)\"]")


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def missing(page) -> list[str]:
    """What the page names but does not exist."""
    text, wrong = page.read_text(), []
    for target, anchor in LINK.findall(text):
        if target.startswith(("http:", "https:")):
            continue
        path = (page.parent / target).resolve() if target else page
        if not path.exists():
            wrong.append(target)
        elif anchor and anchor not in anchors(path.read_text()):
            wrong.append(f"{target}#{anchor}")
    # A file may be named from its repository, its package or its folder on.
    for name in re.findall(r"`([a-z\d_/]+\.py)[`:]", text):
        if name not in ELSEWHERE and not any(f.endswith(f"/{name}") for f in FILES):
            wrong.append(name)
    for name in re.findall(r"(?:--config=|sweep \"?)([\w/]+\.py)\b", text):
        config = re.compile(rf"/configs/(.+/)?{name.removeprefix('configs/')}")
        if not any(config.fullmatch(file) for file in FILES):
            wrong.append(name)
    for module in re.findall(rf"python -m ((?:{'|'.join(TOPS)})[\w.]*)", text):
        name = module.rstrip(".").replace(".", "/")
        if not {f"/{name}.py", f"/{name}/__main__.py"} & FILES:
            wrong.append(f"python -m {module}")
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_everything_a_page_names_exists(page):
    assert missing(page) == []


def test_a_wrong_link_file_or_command_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        '# One two\n[a](#one-two) [b](#three) [c](gone.md) src="gone.png" `gone/file.py`\n'
        "`cxr_jax/steps.py` "
        "python -m cxr_jax.gone --config=configs/gone.py\n"
    )
    found = ["#three", "gone.md", "gone.png", "gone/file.py", "configs/gone.py"]
    assert missing(page) == [*found, "python -m cxr_jax.gone"]
