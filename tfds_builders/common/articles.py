"""The article that a picture from the web was published in, by its file name."""

import re

# Where the figure begins behind the name of an article, in the collection of Cohen
# et al.: kjr-21-e24-g001-l-a, 1-s2.0-S0929664620300449-gr2_lrg-b, ...Fig9c-day27.
_FIGURE = re.compile(
    r"[-_.]fig|[-_.]gr?\d|[-_.]fx\d|_f\d|_lrg|-main\.pdf|-day\d", re.IGNORECASE
)


def article_of(stem: str) -> str:
    """The article that a figure of Cohen's collection is from, '' where none is named.

    Its figures are of one patient or a few, often day after day.
    """
    figure = _FIGURE.search(stem)
    return stem[: figure.start()] if figure else ""
