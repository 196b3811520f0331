"""The built page that is committed is that of the sources."""

import shutil
import subprocess

import pytest
from places import REPOSITORY

from cxr_jax import web

_READY = shutil.which("npx") and (REPOSITORY / "web" / "node_modules").is_dir()


def test_every_file_that_the_page_names_is_there():
    listed = (web.PAGE / "sw.js").read_text().split("];")[0]
    for path in (web.PAGE / "assets").iterdir():
        assert f'"assets/{path.name}"' in listed
    html = (web.PAGE / "index.html").read_text()
    (script,) = (web.PAGE / "assets").glob("index-*.js")
    (style,) = (web.PAGE / "assets").glob("index-*.css")
    assert script.name in html and style.name in html


@pytest.mark.skipif(not _READY, reason="no Node here, or make web was not called")
def test_the_built_page_is_that_of_the_sources(tmp_path):
    subprocess.run(
        ["npx", "vite", "build", "--outDir", str(tmp_path / "page")],
        cwd=REPOSITORY / "web",
        check=True,
        capture_output=True,
    )
    built = {p.relative_to(tmp_path / "page") for p in (tmp_path / "page").rglob("*")}
    kept = {p.relative_to(web.PAGE) for p in web.PAGE.rglob("*")}
    assert built == kept
    for name in kept:
        if (web.PAGE / name).is_file():
            assert (tmp_path / "page" / name).read_bytes() == (
                web.PAGE / name
            ).read_bytes(), name
