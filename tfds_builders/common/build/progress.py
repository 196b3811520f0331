"""Progress bars of a build."""

import functools

from tqdm import tqdm


def progress_bar(quiet: bool, total: int, text: str) -> tqdm:
    """A bar that counts images."""
    return tqdm(
        total=total, desc=f"{text:>5}", unit=" images", mininterval=0.5, disable=quiet
    )


class Progress:
    """The progress bar of a split."""

    def __init__(self, quiet: bool, total: int, split: str):
        self._open = functools.partial(progress_bar, quiet, total, split)
        self._bar = None

    def __call__(self, rejected: int) -> None:
        self._bar = self._bar or self._open()
        if rejected:
            self._bar.set_postfix_str(f"{rejected} rejected", refresh=False)
        self._bar.update()
        if self._bar.n == self._bar.total:
            self._bar.close()
