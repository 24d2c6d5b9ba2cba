"""Person-level spells as they are delivered: which columns they have, and how they are opened."""

import csv
import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kokeilu_analysis import paths
from kokeilu_analysis.errors import DataError, KokeiluError
from kokeilu_analysis.sources import register_engines
from kokeilu_analysis.sources.register_counts import CONTINUES, TO_WORK

STATUS = ("00", "01", "02", "03", "04", "05", "06", "07", "08")
REASONS = (TO_WORK, "service", "education", "outside", "moved", CONTINUES, "other")
SIMULATED = "simulated"  # files and tables of simulated spells begin with it
AGAIN = "Write the file again from the register."


@dataclass(frozen=True)
class Column:
    """A column of a delivery; `kind` is id, text, date, whole number or yes/no."""

    name: str
    kind: str
    required: bool
    meaning: str


COLUMNS = tuple(
    Column(*row)
    for row in (
        ("person_id", "id", True, "Who: the same text or number in all spells of a person"),
        ("municipality", "text", True, "Home municipality, three digits; merged ones are mapped"),
        ("start", "date", True, "First day of the spell"),
        ("end", "date", True, "Last day of the spell; empty while it lasts"),
        ("status", "text", True, "Status code 00 to 08 of the customer register"),
        ("target_group", "yes/no", True, "In the trial's target group (HE 87/2020), everywhere"),
        ("plan_made", "date", True, "Day the plan was made; empty if none was made by `end`"),
        ("plan_updated", "date", True, "Day of its latest update up to `end`; empty if none"),
        ("unemployed_since", "date", False, "First day of this unemployment without a break"),
        ("jobseeker_since", "date", False, "First day of this job search without a break"),
        ("end_reason", "text", False, "Why the spell ended; empty while it lasts"),
        ("service", "text", False, "Service that the person takes part in; empty if none"),
        ("interview", "date", False, "Day of the latest interview up to `end`; empty if none"),
        ("birth_year", "whole number", False, "Year of birth"),
        ("foreign_national", "yes/no", False, "Citizen of another country only"),
        ("sex", "text", False, "`man` or `woman`"),
        ("disabled", "yes/no", False, "Disability or long-term illness"),
        ("fund_member", "yes/no", False, "Member of an unemployment fund"),
    )
)
KINDS = {column.name: column.kind for column in COLUMNS}
CELLS = {  # kind: what a cell of a CSV looks like, in words, and its type
    "date": (r"^\d{4}-\d{2}-\d{2}$", "a date such as 2021-03-31", "date"),
    "whole number": (r"^\d{1,9}$", "a whole number", "int64"),
    "yes/no": (r"^(true|false)$", "true or false", "boolean"),
}


@dataclass(frozen=True)
class Delivery:
    """An opened delivery: typed `spells` (ibis.Table), its name, its files (none for a table)."""

    spells: object
    name: str
    files: tuple
    simulated: bool


@contextmanager
def opened(source):
    """Open a delivery of spells.

    Parameters
    ----------
    source : str or Path
        A folder of Parquet or of CSV files, which DuckDB reads inside this process; or an
        engine's address, ``#``, and a table there or a folder that the engine can read:
        ``duckdb://file.db#spells``, ``pyspark://?spark.master=local[2]#folder``.

    Yields
    ------
    Delivery

    Raises
    ------
    DataError
        No such folder, no files, files of two kinds; a column is missing, unknown or of the
        wrong type.
    KokeiluError
        See `register_engines.connected`.
    """
    address, _, place = str(source).partition("#") if "://" in str(source) else ("", "", source)
    if not str(place):
        raise KokeiluError("The address names no table or folder: write it as ADDRESS#TABLE.")
    folder, files = Path(place), ()
    if not address or folder.is_dir():
        files = tuple(_files(folder))
        _check_files(files)  # before an engine starts
    with register_engines.connected(address) as engine:
        if files:
            spells, simulated = _spells(engine, files), files[0].name.startswith(SIMULATED)
            yield Delivery(spells, paths.shown(folder), files, simulated)
        else:
            yield _table(engine, str(place))


@contextmanager
def said_safely(name):
    """Turn an engine's message, which may quote a person's row, into one that does not."""
    try:
        yield
    except KokeiluError:
        raise
    except Exception as error:  # every engine has errors of its own
        line = re.search(r"Line: (\d+)", str(error))
        at = line and int(line[1])
        said = f"rows that cannot be read ({type(error).__name__})"
        raise DataError(name, said, "well-formed rows", at, advice=AGAIN) from None


def _files(folder):
    if not folder.is_dir():
        raise DataError(paths.shown(folder), "no such folder", "a folder of spells")
    found = {kind: sorted(folder.glob(f"*.{kind}")) for kind in ("parquet", "csv")}
    if all(found.values()) or not any(found.values()):
        said = "both Parquet and CSV files" if all(found.values()) else "no Parquet or CSV files"
        raise DataError(paths.shown(folder), said, "files of one of the two kinds")
    files = found["parquet"] or found["csv"]
    marked = [file.name.startswith(SIMULATED) for file in files]
    if any(marked) and not all(marked):
        name = files[marked.index(True)].name
        raise DataError(name, "simulated spells among others", "only real or only simulated ones")
    return files


def _table(engine, name):
    try:
        table = engine.table(name)
    except Exception as error:  # every engine has errors of its own
        kind = type(error).__name__
        raise DataError(name, f"no such table ({kind})", "a table of spells") from None
    _check_columns(table.schema(), name)
    return Delivery(_typed(table), name, (), name.rpartition(".")[2].startswith(SIMULATED))


def _check_files(files):
    """Refuse files of one kind that cannot be read, or whose columns are not those of spells."""
    import ibis
    import pyarrow.parquet as pq

    if files[0].suffix == ".csv":
        first = _header(files[0])
        for file in files:
            header = _header(file)
            _check_names(header, file.name)
            if header != first:
                expected = f"those of {files[0].name} in their order"
                raise DataError(file.name, "other columns or another order", expected, row=1)
        return
    for file in files:
        try:
            schema = pq.read_schema(file)
        except Exception as error:  # Arrow has many classes of errors
            said = f"no whole Parquet file ({type(error).__name__})"
            raise DataError(file.name, said, "a Parquet file", advice=AGAIN) from None
        _check_names(schema.names, file.name)
        with said_safely(file.name):  # Ibis does not know all types
            kinds = ibis.Schema.from_pyarrow(schema)
        _check_columns(kinds, file.name)


def _spells(engine, files):
    """Read checked files; name the one that Arrow could open and the engine cannot."""
    if len(files) > 1 and engine.name == "duckdb":  # of many files it opens the first one only
        for file in files:
            with said_safely(file.name):
                read(engine, [file])
    with said_safely(files[0].name):
        return read(engine, files)


def read(engine, files):
    """Return the spells of some checked files of one kind as a typed table."""
    names = [str(file) for file in files]
    if engine.name != "duckdb":  # other engines take one pattern
        names = f"{files[0].parent}/*{files[0].suffix}"
    if files[0].suffix == ".parquet":
        return _typed(engine.read_parquet(names))
    options = {"inferSchema": False, "mode": "FAILFAST"}
    if engine.name == "duckdb":
        columns = dict.fromkeys(_header(files[0]), "VARCHAR")
        options = {"columns": columns, "auto_detect": False, "sep": ","}
    return _parsed(engine.read_csv(names, header=True, **options))


def _header(file):
    with open(file, encoding="utf-8", errors="replace", newline="") as lines:
        try:
            return next(csv.reader(lines), [])
        except csv.Error as error:
            found = f"a header that is no CSV ({error})"
            raise DataError(file.name, found, "names of columns", row=1) from error


def _check_names(names, file):
    names = [str(name) for name in names]
    faults = {
        "missing": [c.name for c in COLUMNS if c.required and c.name not in names],
        "unknown": sorted(set(names) - set(KINDS)),
        "twice": sorted(name for name, times in Counter(names).items() if times > 1),
    }
    said = "; ".join(f"{what}: {', '.join(which)}" for what, which in faults.items() if which)
    if said:
        first = next(which[0] for which in faults.values() if which)
        expected = f"the columns of docs/registers.md ({', '.join(KINDS)})"
        raise DataError(file, f"columns {said}", expected, column=first)


def _check_columns(schema, file):
    _check_names(schema.names, file)
    for name, kind in schema.items():
        right = {
            "id": kind.is_string() or kind.is_integer() or kind.is_uuid(),
            "text": kind.is_string(),
            "date": kind.is_date() or kind.is_timestamp(),
            "whole number": kind.is_integer(),
            "yes/no": kind.is_boolean(),
        }
        if not right[KINDS[name]]:
            expected = {"id": "text or whole numbers", "yes/no": "true or false"}
            wanted = expected.get(KINDS[name], KINDS[name])
            advice = "Codes are text: as numbers they lose leading zeros."
            advice = advice if KINDS[name] == "text" else None
            raise DataError(file, f"the type {kind}", wanted, column=name, advice=advice)


def _typed(table):
    stamps = [n for n, kind in table.schema().items() if KINDS[n] == "date" and not kind.is_date()]
    return table.mutate(**{name: table[name].cast("date") for name in stamps})


def _parsed(table):
    """Turn text into types and keep the text beside, for the rules on how cells must look."""
    columns = {}
    for name in table.columns:
        if KINDS[name] in CELLS:
            columns[text_of(name)] = table[name]
            columns[name] = table[name].try_cast(CELLS[KINDS[name]][2])
    return table.mutate(**columns)


def text_of(name):
    """Return the name under which `read` keeps the text of a cell of a CSV."""
    return f"{name}_text"
