"""A page by itself: without the links to figures and tables that lie beside it."""

import re


def without_files(text: str) -> str:
    """The HTML of a report or of a sweep, its links to files beside it left out."""
    text = re.sub(r',? ?<a href="figures/[^"]*">[A-Z]+</a>', "", text)
    return re.sub(r'<p class="note"><a href="tables/[^"]*">[^<]*</a></p>', "", text)
