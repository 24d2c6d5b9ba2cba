"""Returned files opened: their cells taken out, whatever they hold, and nothing else let in.

A return comes from outside. A small file can ask for much memory or time, name files of this
computer, or say one thing to a check and another to a reader; such a file is refused before
anything in it is believed. What its cells say is judged in `survey`.
"""

import codecs
import csv
import io
import itertools
import re
import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

from kokeilu_analysis import paths
from kokeilu_analysis.errors import DataError
from kokeilu_analysis.sources.survey_form import SHEET

SIZE_LIMIT = 50_000_000  # bytes, packed or unpacked, pictures and all
PLAIN_LIMIT = 10_000_000  # of them XML or CSV: a filled form has under half a million
PART_LIMIT, TAG_LIMIT, CELL_LIMIT, MERGED_LIMIT = 500, 80_000, 30_000, 1_000  # of a workbook
ROW_LIMIT, COLUMN_LIMIT = 2_000, 100
TEXT_LIMIT = 2_000_000  # signs in all cells: a workbook can say one long text in every cell
# A tag with its attributes, whose values may hold ">" but never "<"; possessive, so that a file
# made to be slow to search is not.
CELL = re.compile(rb"<(?:\w{1,40}:)?c(?=[\s/>])")
MERGED = re.compile(rb"<(?:\w{1,40}:)?mergeCell(?=\s)((?:[^<>\"']|\"[^\"<]*+\"|'[^'<]*+')*+)>")
AREA = re.compile(rb"\bref\s*=\s*[\"']([^\"']*)[\"']")
ENCODING = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"'](?!utf-?8[\"'])", re.IGNORECASE)
WIDE = (
    b"\xff\xfe",
    b"\xfe\xff",
    b"<\0",
    b"\0<",
    b"\0\0",
    b"\x4c\x6f\xa7\x94",
)  # UTF-16, -32, EBCDIC


class Formula(str):
    """A cell that computes instead of stating; the text is the formula."""


class Grid(NamedTuple):
    """A form as it was found: `rows` of raw cell values, and ranges that were `merged`.

    Rows and columns are counted from 1 in addresses and ranges, as a spreadsheet shows them.
    """

    file: str
    rows: list
    merged: list  # (range as text, first row, last row)
    sheet: str | None

    def address(self, row, column):
        """Return where a cell is: ``Vastaus!E7``, or row and column in a text file."""
        if self.sheet is None:
            return f"row {row}, column {column}"
        from openpyxl.utils import get_column_letter

        return f"{self.sheet}!{get_column_letter(column)}{row}"


def plain_name(path):
    """Return a file's name without signs that mean something in a table, a page or a command.

    Who sends a return names its file, and the name is printed as the source of statements.

    >>> plain_name("returns/Pori; =1+1 <b>.xlsx")
    'Pori_ _1+1 _b_.xlsx'
    """
    return re.sub(r"[^\w .()+-]", "_", Path(path).name)


def open_form(path):
    """Open a returned form and take its cells out, whatever they hold.

    Parameters
    ----------
    path : path-like
        Workbook (.xlsx) or CSV in UTF-8 with semicolons or commas. The content decides which.

    Returns
    -------
    Grid

    Raises
    ------
    DataError
        If nothing can be taken out of the file at all, or not safely.

    """
    path = Path(path)
    file = paths.shown(path)
    if path.is_dir() or not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise DataError(file, found, "a returned form", advice="Name each .xlsx or .csv file.")
    if not 0 < path.stat().st_size <= SIZE_LIMIT:
        found = "an empty file" if path.stat().st_size == 0 else "a file of over 50 MB"
        raise DataError(file, found, "a returned form", advice="Ask for the form again.")
    try:
        content = path.read_bytes()
    except OSError as error:
        advice = "Ask for the form again."
        raise DataError(file, error.strerror, "a readable file", advice=advice) from error
    if content.startswith(b"PK"):
        return _limited(_open_workbook(file, content))
    if content.startswith(b"\xd0\xcf\x11\xe0") or path.suffix.lower() == ".xlsx":
        found = "a file that is encrypted, in the old .xls format or no workbook"
        advice = "Remove the password and save as Excel workbook (.xlsx)."
        raise DataError(file, found, "an .xlsx workbook without a password", advice=advice)
    return _limited(_open_text(file, content))


def _limited(grid):
    """Refuse more text than any form has, however little the file says it in."""
    signs = sum(len(cell) for row in grid.rows for cell in row if isinstance(cell, str))
    if signs > TEXT_LIMIT:
        found, advice = f"{signs:,} signs of text", "Copy the answers to a fresh form."
        raise DataError(grid.file, found, f"at most {TEXT_LIMIT:,}", advice=advice)
    return grid


def _open_workbook(file, content):
    from openpyxl import load_workbook

    try:
        _refuse_unsafe(file, content)
        with warnings.catch_warnings():  # openpyxl warns of styling that it does not know
            warnings.simplefilter("ignore")
            book = load_workbook(io.BytesIO(content), keep_links=False)
    except DataError:
        raise
    except Exception as error:  # a damaged workbook may fail anywhere in zip, XML or openpyxl
        advice = "Open it in a spreadsheet programme and save it again as .xlsx."
        found = f"a damaged workbook ({type(error).__name__})"
        raise DataError(file, found, "a readable .xlsx workbook", advice=advice) from error
    sheet = next((sheet for sheet in book.worksheets if sheet.title == SHEET), None)
    if sheet is None:
        found = "the sheets " + ", ".join(repr(title) for title in book.sheetnames)
        raise DataError(file, found, f"a sheet {SHEET!r}", advice="Rename the sheet of answers.")
    size = [0, 0]
    for cell in sheet._cells.values():  # those that are there: the size that a sheet says may lie
        if cell.value is not None:
            size = [max(size[0], cell.row), max(size[1], cell.column)]
            if size[0] > ROW_LIMIT or size[1] > COLUMN_LIMIT:
                found = f"a value in cell {cell.coordinate}, far outside the form"
                limits = f"{ROW_LIMIT} rows and {COLUMN_LIMIT} columns"
                raise DataError(file, found, limits, advice="Delete it.")
    cells = sheet.iter_rows(max_row=max(1, size[0]), max_col=max(1, size[1]))
    rows = [[_content(cell) for cell in row] for row in cells]
    merged = [(area.coord, area.min_row, area.max_row) for area in sheet.merged_cells.ranges]
    return Grid(file, rows, merged, SHEET)


def _content(cell):
    if cell.data_type == "f":  # an array formula is an object with a text
        return Formula(getattr(cell.value, "text", cell.value))
    return cell.value


def _refuse_unsafe(file, content):
    """Refuse what could harm or exhaust the reader, before any XML is parsed.

    The size that each part says is one that `zipfile` never reads beyond. Every part is looked at,
    since a workbook may name any of its parts a sheet.
    """
    from openpyxl.utils import range_boundaries

    def refuse(found, expected, advice="Copy the answers to a fresh form."):
        raise DataError(file, found, expected, advice=advice)

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts, size, tags = archive.infolist(), 0, 0
        names = [part.filename for part in parts]
        if any(part.flag_bits & 1 for part in parts):
            refuse("an encrypted archive", "no password", "Remove the password.")
        if sum(part.file_size for part in parts) > SIZE_LIMIT:
            refuse("over 50 MB when unpacked", "a form of under 50 MB")
        if len(parts) > PART_LIMIT or len(set(names)) < len(names):
            refuse(
                f"{len(parts)} parts, {len(set(names))} names", f"at most {PART_LIMIT}, each once"
            )
        outside = [n for n in names if n.startswith("/") or {"..", "\\", ":"} & {*n, *n.split("/")}]
        if outside:
            refuse(f"the part {outside[0][:60]!r}, outside the archive", "parts of a workbook")
        if "xl/workbook.xml" not in names:
            refuse("an archive without a workbook", "an .xlsx workbook", "Save it as .xlsx.")
        if any(name.endswith("vbaProject.bin") for name in names):
            refuse("a workbook with macros", "none", "Save it as .xlsx.")
        for part in parts:
            text = archive.read(part)
            plain = text.replace(b"\0", b"")  # the same signs in UTF-16
            if b"<!DOCTYPE" in plain or b"<!ENTITY" in plain:
                refuse(f"an XML entity or document type in {part.filename}", "plain XML")
            if text.startswith(WIDE) or ENCODING.search(text[:1000]):
                refuse(f"{part.filename} in another encoding", "XML in UTF-8")
            if not text.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"<"):
                continue  # no XML, under whatever name
            size, tags = size + len(text), tags + text.count(b"<")
            if size > PLAIN_LIMIT or tags > TAG_LIMIT:
                found = f"{size:,} bytes of XML with {tags:,} tags up to {part.filename}"
                refuse(found, f"at most {PLAIN_LIMIT:,} bytes and {TAG_LIMIT:,} tags")
            cells = len(CELL.findall(text))
            merged = MERGED.findall(text)
            if len(merged) > MERGED_LIMIT:
                refuse(f"{len(merged)} merged areas in {part.filename}", f"at most {MERGED_LIMIT}")
            for inside in merged:
                for area in AREA.findall(inside):
                    left, top, right, bottom = range_boundaries(area.decode())
                    cells += (right - left + 1) * (bottom - top + 1)
            if cells > CELL_LIMIT:
                refuse(f"{cells} cells in {part.filename}", f"at most {CELL_LIMIT}")


def _open_text(file, content):
    advice = "In Excel: Save as, CSV UTF-8."
    if len(content) > PLAIN_LIMIT:
        raise DataError(file, f"{len(content):,} bytes", f"at most {PLAIN_LIMIT:,}", advice=advice)
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(file, "text in UTF-16", "text in UTF-8", advice=advice)
    head = content.decode("latin-1").replace("\0", "").splitlines()
    head = next((line for line in head if "customers_transferred" in line), "")
    delimiter = max(";,\t", key=head.count)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:  # its object is the content without byte-order mark
        before = error.object[: error.start].decode("utf-8")
        row, column = before.count("\n") + 1, before.rpartition("\n")[2].count(delimiter) + 1
        sign = error.object[error.start : error.start + 1]
        found = f"{sign.decode('cp1252', 'replace')!r} in Latin-1 (byte 0x{sign.hex().upper()})"
        raise DataError(file, found, "text in UTF-8", row, column, advice) from error
    if "\0" in text:
        raise DataError(file, "binary content", "an .xlsx workbook or CSV", advice=advice)
    if delimiter == "\t":
        raise DataError(file, "columns split by tabs", "semicolons or commas", advice=advice)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = list(itertools.islice(reader, ROW_LIMIT + 1))
    except csv.Error as error:
        found, expected = f"broken quoting ({error})", 'every opening " closed'
        raise DataError(file, found, expected, row=reader.line_num, advice=advice) from error
    if len(rows) > ROW_LIMIT:
        found = f"{len(rows)} rows or more"
        raise DataError(file, found, f"at most {ROW_LIMIT} rows", row=len(rows), advice=advice)
    wide = next((n for n, row in enumerate(rows, 1) if len(row) > COLUMN_LIMIT), None)
    if wide:
        found, expected = f"{len(rows[wide - 1])} values", f"at most {COLUMN_LIMIT} columns"
        raise DataError(file, found, expected, row=wide, advice=advice)
    return Grid(file, rows, [], None)
