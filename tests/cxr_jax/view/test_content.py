"""Which file a request is for: never one outside the bundle."""

import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_jax import web
from cxr_jax.view import content


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("view")
    (folder / "secret.txt").write_text("secret")
    bundle = folder / "bundle"
    (bundle / "golden").mkdir(parents=True)
    (bundle / "bundle.json").write_text("{}")
    (bundle / "golden" / "a b.png").write_bytes(b"png")
    (bundle / "out.txt").symlink_to(folder / "secret.txt")
    (bundle / "folder").symlink_to(folder)
    return bundle


@pytest.mark.parametrize(
    "target, name",
    [
        ("/bundle.json", "bundle.json"),
        ("/bundle.json?a=1#b", "bundle.json"),
        ("//bundle.json", "bundle.json"),
        ("/./golden/a%20b.png", "golden/a b.png"),
    ],
)
def test_files_of_the_bundle(bundle, target, name):
    assert content.locate(bundle, target) == (bundle / name).resolve()


@pytest.mark.parametrize(
    "target",
    [
        *("/", "/golden", "/golden/", "/absent", "/bundle.json/", "/%00"),
        *("/../secret.txt", "/%2e%2e/secret.txt", "/golden/../../secret.txt"),
        *("/..%2fsecret.txt", "/..%5csecret.txt", "/web/../../secret.txt"),
        *("/out.txt", "/folder/secret.txt", "/c:/secret.txt", "/" + "a" * 5000),
    ],
)
def test_nothing_else(bundle, target):
    assert content.locate(bundle, target) is None


@given(
    st.text()
    | st.lists(st.sampled_from(["..", "%2e", "/", "\\", "a", "."])).map("".join)
)
def test_whatever_is_asked_for_is_inside(bundle, target):
    found = content.locate(bundle, target)
    assert found is None or found.is_relative_to(bundle.resolve())
    found = content.locate(bundle, "/" + urllib.parse.quote(target, errors="replace"))
    assert found is None or found.is_relative_to(bundle.resolve())


def test_the_page_of_the_package_where_the_bundle_has_none(bundle, tmp_path):
    assert content.locate(bundle, "/web/") == (web.PAGE / "index.html").resolve()
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "index.html").write_text("own")
    found = content.locate(tmp_path, "/web/")
    assert found is not None and found.read_text() == "own"


def test_every_file_of_the_page_has_its_type():
    for path in web.PAGE.rglob("*"):
        if path.is_file():
            assert path.suffix in content.TYPES, path


@pytest.mark.parametrize(
    "header, part",
    [
        (None, (0, 100)),
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=90-500", (90, 100)),
        ("bytes=-30", (70, 100)),
        ("bytes=-300", (0, 100)),
        ("bytes=100-", None),
        ("bytes=-0", None),
        ("bytes=9-3", (0, 100)),
        ("bytes=0-1,5-6", (0, 100)),
        ("lines=0-1", (0, 100)),
        ("bytes=-", (0, 100)),
    ],
)
def test_parts(header, part):
    assert content.part_of(header, 100) == part
