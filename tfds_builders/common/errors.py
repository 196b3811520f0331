"""The one error that is the user's to mend."""


class InputError(Exception):
    """Something in the user's files, flags or config is not usable.

    Entry points print the message without a traceback, so it has to stand alone.

    Args:
      where: the file, folder, flag or config key that is meant.
      found: what was found there.
      do: what to do next.
    """

    def __init__(self, where, found: str, do: str):
        super().__init__(f"{where}: {found}\n  -> {do}")
        self.where, self.found, self.do = str(where), found, do

    def __reduce__(self):
        return type(self), (self.where, self.found, self.do)
