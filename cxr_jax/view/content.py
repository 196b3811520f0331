"""Which file of a bundle a request is for, and what a browser is told about it."""

from __future__ import annotations

import pathlib
import re
from typing import NamedTuple
from urllib.parse import unquote

from cxr_jax import web

# By ending; a browser compiles WebAssembly and runs modules only under their own type.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".npz": "application/octet-stream",
    ".onnx": "application/octet-stream",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
_PAGE = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; worker-src 'self'; "
    "manifest-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
# A model card brings its own style and pictures, and runs nothing.
_CARD = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data: 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Part(NamedTuple):
    """The bytes start..end of a file, the last not among them."""

    start: int
    end: int


def locate(bundle: pathlib.Path, target: str) -> pathlib.Path | None:
    """The file that a request's target names; None where there is none.

    Only what lies in the bundle, links resolved. A bundle without the page is shown
    with the one of this package.
    """
    path = unquote(target.partition("?")[0].partition("#")[0])
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or any(set(part) & set("\\\0:") for part in parts):
        return None
    root = bundle
    if parts[:1] == ["web"] and not (bundle / "web" / "index.html").is_file():
        root, parts = web.PAGE, parts[1:]
    try:
        found = root.joinpath(*parts).resolve()
        if path.endswith("/"):
            found = found / "index.html"
        inside = found.is_relative_to(root.resolve())
        return found if inside and found.is_file() else None
    except (OSError, ValueError):  # a name that no file can have
        return None


def headers(path: pathlib.Path) -> dict[str, str]:
    """What a browser is told of a file, besides its length.

    The page may use threads only where it is isolated from other origins (COOP, COEP),
    and reach nothing but this server (CSP).
    """
    return {
        "Content-Type": TYPES.get(path.suffix.lower(), "application/octet-stream"),
        "Content-Security-Policy": _CARD if path.name == "card.html" else _PAGE,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
        "Accept-Ranges": "bytes",
    }


def part_of(header: str | None, size: int) -> Part | None:
    """The part that a Range header asks for (RFC 9110, 14.2); all of it without one.

    None where it asks for nothing that is there. Several parts at once, and other
    units, are answered with the whole file, as the standard allows.
    """
    found = _RANGE.fullmatch((header or "").strip())
    if not found or not any(found.groups()):
        return Part(0, size)
    first, last = found.groups()
    if not first:  # the last so many bytes
        return Part(max(size - int(last), 0), size) if int(last) and size else None
    start, end = int(first), min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return Part(0, size)
    return Part(start, end) if start < size else None
