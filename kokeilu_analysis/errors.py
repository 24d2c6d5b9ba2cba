"""What goes wrong, said so that a reader can mend it."""


class KokeiluError(Exception):
    """Every error this package raises on purpose; the command line prints it as one sentence."""


class DataError(KokeiluError):
    """A cell, row or file that is not what it should be.

    Parameters
    ----------
    file : str
        File name as the reader knows it.
    found, expected : object
        What stood there and what should have stood there.
    row : int or str, optional
        Line number in the file (the header is line 1), or a key such as ``KU091 2021M03``.
    column : str, optional
        Column name.
    advice : str, optional
        What to do next.

    Examples
    --------
    >>> print(DataError("a.csv", "-3", "a count of 0 or more", row=7, column="unemployed"))
    a.csv, row 7, column unemployed: found -3, expected a count of 0 or more.
    """

    def __init__(self, file, found, expected, row=None, column=None, advice=None):
        self.file, self.row, self.column = str(file), row, column
        self.found, self.expected, self.advice = found, expected, advice
        place = self.file
        if row is not None:
            place += f", row {row}"
        if column is not None:
            place += f", column {column}"
        message = f"{place}: found {found}, expected {expected}."
        super().__init__(f"{message} {advice}" if advice else message)
