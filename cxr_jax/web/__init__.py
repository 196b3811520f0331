"""The page of a bundle, as `make web` built it from web/: it scores films in a browser."""

import pathlib

# index.html and what it needs; a bundle has a copy in its folder web.
PAGE = pathlib.Path(__file__).parent / "page"
