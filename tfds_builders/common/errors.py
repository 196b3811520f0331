"""The one error that the user can fix."""

from tfds_builders.common.text import printable


class InputError(Exception):
    """Something in the user's files, flags or config is not usable.

    Entry points print the message without a traceback, so it has to stand alone.
    Control codes in it, as of a file name, are written out.

    Args:
      where: the file, folder, flag or config key.
      found: what was found there.
      hint: what to do next.
    """

    def __init__(self, where, found: str, hint: str):
        super().__init__(printable(f"{where}: {found}\n  -> {hint}"))
        self.where, self.found, self.hint = str(where), found, hint

    def __reduce__(self):
        return type(self), (self.where, self.found, self.hint)
