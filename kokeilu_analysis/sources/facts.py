"""The committed facts: who was treated, when what happened, what was reported, what is published.

Each function returns one table of ``data/raw``, read and checked by its description; what a
description cannot say (totals, names that belong to codes) is checked here.
"""

from pathlib import Path

import pandas as pd

from kokeilu_analysis import paths
from kokeilu_analysis.errors import DataError
from kokeilu_analysis.sources import datapackage, registers, survey_evidence

AREAS, TRIAL, OTHER_MAINLAND, ALAND = 25, 118, 175, 16  # the official totals, 1.1.2021
ALAND_REGION = "21"
SPECIAL_SUBJECTS = ("all", "replied")
MEND = "Mend the row, or restore the file from the repository."


def trial_areas(folder=paths.RAW):
    """Return the municipalities of the 25 trial areas and those that came close to being in one.

    Returns
    -------
    pandas.DataFrame
        One row per municipality: ``area_id, area_name_fi, area_name_sv, municipality,
        municipality_name_fi, municipality_name_sv, status, confidence, source``; ``status`` is
        ``trial`` for 118 rows, else ``withdrew``, ``rejected`` or ``outside``.

    Raises
    ------
    DataError
        When the trial is not 25 areas and 118 municipalities, an area has two names, or a name
        does not belong to its code.

    Examples
    --------
    >>> trial_areas().query("status == 'trial'").area_id.nunique()
    25
    """
    frame = datapackage.read(folder, "trial_areas")
    file = _file(folder, "trial_areas")
    names = ["area_name_fi", "area_name_sv"]
    first = frame.groupby("area_id")[names].transform("first")
    _refuse(frame, (frame[names] != first).any(axis=1), "area_name_fi", "the area's name", file)
    official = datapackage.read(folder, "municipalities").set_index("municipality")
    for column in ("municipality_name_fi", "municipality_name_sv"):
        wrong = frame[column] != frame["municipality"].map(official[column])
        _refuse(frame, wrong, column, "the name that belongs to the code", file)
    trial = frame[frame["status"] == "trial"]
    counted = trial["area_id"].nunique(), len(trial)
    if counted != (AREAS, TRIAL):
        found = "{} trial areas and {} trial municipalities".format(*counted)
        raise DataError(file, found, f"{AREAS} and {TRIAL} (Act 1269/2020)", advice=MEND)
    return frame


def municipalities(folder=paths.RAW):
    """Return the 309 municipalities of 2021 with classes, population and a centre point."""
    frame = datapackage.read(folder, "municipalities")
    expected = TRIAL + OTHER_MAINLAND + ALAND
    if len(frame) != expected:
        found = f"{len(frame)} municipalities"
        file = _file(folder, "municipalities")
        raise DataError(file, found, f"{expected} of the 2021 division", advice=MEND)
    return frame


def treatment(folder=paths.RAW):
    """Return who is treated: one row for each of the 309 municipalities of 2021.

    Returns
    -------
    pandas.DataFrame
        ``municipality, municipality_name_fi, municipality_name_sv, is_trial`` (0/1), ``group``
        (``trial``, ``control``, ``withdrew``: the Maisema-Karjala seven, ``outside``: Åland),
        ``area_id`` (``KK…`` in the trial, else ``SK`` and the sub-region), ``area_name_fi,
        region_code, region_name_fi, sub_region_code, ely_code, ely_name_fi, urban_class_code,
        urban_class_name_en, language_code, population_2020`` (persons), ``centre_lon,
        centre_lat`` (degrees), ``confidence`` (of the assignment; empty outside the list).

    Raises
    ------
    DataError
        When the totals 118, 175 on the mainland, 16 in Åland do not hold.

    Examples
    --------
    >>> treatment().groupby("group").size().to_dict()
    {'control': 168, 'outside': 16, 'trial': 118, 'withdrew': 7}
    """
    listed = trial_areas(folder).set_index("municipality")
    base = municipalities(folder)
    status = base["municipality"].map(listed["status"])
    trial, aland = status == "trial", base["region_code"] == ALAND_REGION
    frame = base[["municipality", "municipality_name_fi", "municipality_name_sv"]].copy()
    frame["is_trial"] = trial.astype("int64")
    frame["group"] = "control"
    frame.loc[status == "withdrew", "group"] = "withdrew"
    frame.loc[aland, "group"] = "outside"
    frame.loc[trial, "group"] = "trial"
    area, name = (base["municipality"].map(listed[c]) for c in ("area_id", "area_name_fi"))
    frame["area_id"] = area.where(trial, "SK" + base["sub_region_code"])
    frame["area_name_fi"] = name.where(trial, base["sub_region_name_fi"])
    columns = (
        "region_code region_name_fi sub_region_code ely_code ely_name_fi urban_class_code "
        "urban_class_name_en language_code population_2020 centre_lon centre_lat"
    ).split()
    frame[columns] = base[columns]
    frame["confidence"] = base["municipality"].map(listed["confidence"]).fillna("")
    sizes = frame["group"].value_counts()
    counted = tuple(int(sizes.get(g, 0)) for g in ("trial", "outside"))
    other = len(frame) - sum(counted)
    if (*counted, other) != (TRIAL, ALAND, OTHER_MAINLAND):
        found = f"{counted[0]} trial, {other} other mainland and {counted[1]} Åland municipalities"
        expected = f"{TRIAL}, {OTHER_MAINLAND} and {ALAND}"
        raise DataError(_file(folder, "trial_areas"), found, expected, advice=MEND)
    return frame


def area_groups(folder=paths.RAW):
    """Return named groups of areas: ``group_id, area_id, city, note``."""
    return datapackage.read(folder, "area_groups")


def earlier_trials(folder=paths.RAW):
    """Return the municipalities of the trials of 2012–2015 and 2017–2018, mergers noted.

    Examples
    --------
    >>> earlier_trials().groupby("trial").municipality.nunique().to_dict()
    {'2012-2015': 55, '2017-2018': 21}
    """
    return datapackage.read(folder, "earlier_trials")


def timeline(folder=paths.RAW):
    """Return the events that matter for identification, in order of time.

    Returns
    -------
    pandas.DataFrame
        ``event_id, date_from, date_to`` (``NaT`` for a single day or an open end), texts in three
        languages, ``affects, matters_for, precision, confidence, source``. With precision
        ``month`` or ``year`` the dates are the ends of the period that the source names.
    """
    return datapackage.read(folder, "timeline")


def measures(folder=paths.RAW):
    """Return the measures of table 12r5: name here, code there, kind, direction of better."""
    return datapackage.read(folder, "measures")


def labels(folder=paths.RAW):
    """Return what each measure counts, in English, by measure; those of registers alone as well.

    >>> labels()[["unemployed", "plan_valid"]].tolist()
    ['Unemployed jobseekers (fully laid off included)', 'Jobseekers whose plan is valid']
    """
    return pd.concat(
        [measures(folder).set_index("measure")["label_en"], pd.Series(registers.MEASURES)]
    )


def boundary_changes(folder=paths.RAW):
    """Return mergers and moves between regions, 2020–2025."""
    return datapackage.read(folder, "boundary_changes")


def customers_at_start(folder=paths.RAW):
    """Return what was published of the customers moved to each area; ``all`` is the total."""
    return datapackage.read(folder, "customers_at_start")


def themes(folder=paths.RAW):
    """Return the nine themes, two interview rounds and the observations of the letter."""
    return datapackage.read(folder, "interview_themes")


def evaluations(folder=paths.RAW):
    """Return published evaluations and their headline results."""
    return datapackage.read(folder, "published_evaluations")


def reference_effects(folder=paths.RAW):
    """Return sizes of effects that others claimed or found, persons or percentage points."""
    return datapackage.read(folder, "reference_effects")


def evidence(reading=None, folder=paths.RAW):
    """Return what was said about the backlog, and what registers tell of it, a statement a row.

    Parameters
    ----------
    reading : str or sequence of str, optional
        None: the whole register. ``"default"``: the statements as the study reads them. The name
        of an alternative: the default with the statements that it replaces swapped. Several
        names: all their swaps at once.
    folder : path
        Folder of the facts and their description.

    Returns
    -------
    pandas.DataFrame
        ``statement_id, source, said_on, refers_to_from, refers_to_to, subject, kind, lower,
        upper`` (shares 0–1), ``count_low, count_high, weight, reading, replaces, note``.

    Raises
    ------
    DataError
        See `check_evidence`; also for an unknown reading and for two readings that replace the
        same statement.

    Examples
    --------
    >>> ids = evidence(["mean_exact", "few_at_most_2"]).statement_id
    >>> [name for name in ids if name.startswith(("mean", "few"))]
    ['mean_exact', 'few_at_most_2']
    """
    frame = datapackage.read(folder, "backlog_evidence")
    file = _file(folder, "backlog_evidence")
    areas = datapackage.read(folder, "trial_areas").query("status == 'trial'")["area_id"]
    check_evidence(frame, areas.unique(), area_groups(folder)["group_id"].unique(), file)
    if registers.built():  # what they tell stands beside what was said
        observed = registers.observed(treatment(folder), survey_evidence.START)
        frame = pd.concat([frame, observed.astype(frame.dtypes)], ignore_index=True)
    if reading is None:
        return frame
    wanted = [reading] if isinstance(reading, str) else list(reading)
    for name in wanted:
        if name not in set(frame["reading"]):
            known = ", ".join(frame["reading"].unique())
            raise DataError(file, f"no reading {name!r}", f"one of {known}", column="reading")
    swaps = frame[frame["reading"].isin(wanted) & (frame["reading"] != "default")]
    clash = swaps.groupby("replaces")["reading"].nunique()
    if (clash > 1).any():
        found = f"two readings of {clash.idxmax()} at once: {', '.join(wanted)}"
        raise DataError(file, found, "at most one reading of each statement", column="reading")
    kept = (frame["reading"] == "default") & ~frame["statement_id"].isin(swaps["replaces"])
    return frame[kept | frame.index.isin(swaps.index)].reset_index(drop=True)


def check_evidence(frame, areas, groups=(), file="evidence"):
    """Refuse evidence whose columns do not agree with each other.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows of the evidence register; missing columns count as empty.
    areas, groups : sequence of str
        Area ids and names of groups that a statement may be about.
    file : str
        Name for the message; rows are numbered as in a CSV with the header on line 1.

    Raises
    ------
    DataError
        For lower above upper, a share that looks like per cent, an unknown subject, a mean
        without weight, a kind without its numbers, an unknown statement to replace.

    Examples
    --------
    >>> row = {"subject": "KK01", "kind": "range", "lower": 0.8, "upper": 0.6}
    >>> check_evidence(pd.DataFrame([row]), ["KK01"])
    Traceback (most recent call last):
    ...
    kokeilu_analysis.errors.DataError: evidence, row 2, column lower: found 0.8, expected a share \
not above upper (0.6).
    """
    texts = ("subject", "kind", "weight", "reading", "replaces", "statement_id")
    numbers = ("lower", "upper", "count_low", "count_high")
    frame = frame.reindex(columns=[*texts, *numbers])
    frame[list(texts)] = frame[list(texts)].astype("object").fillna("")
    default = set(frame.loc[frame["reading"].isin(["default", ""]), "statement_id"])
    known = {*areas, *groups, *SPECIAL_SUBJECTS}
    for line, row in enumerate(frame.to_dict("records"), start=2):
        fault = _evidence_fault(row, known, set(areas), default)
        if fault:
            column, found, expected, advice = fault
            raise DataError(file, found, expected, line, column, advice)


def _evidence_fault(row, known, areas, default):
    """Return column, found, expected, advice of the first fault of a statement, else None."""
    kind, subjects = row["kind"], row["subject"].split(";")
    given = {name: row[name] for name in ("lower", "upper") if pd.notna(row[name])}
    for name, share in given.items():
        if share > 1:
            return name, share, "a share of at most 1", "Per cent was given: write 0.6 for 60 %."
        if share < 0:
            return name, share, "a share of at least 0", None
    unknown = [s for s in subjects if s not in (known if len(subjects) == 1 else areas)]
    if unknown:
        return "subject", repr(unknown[0]), "an area id, a group, all or replied", None
    if len(given) == 2 and given["lower"] > given["upper"]:
        return "lower", given["lower"], f"a share not above upper ({given['upper']})", None
    if kind in ("value", "range", "mean", "smallest", "largest", "later") and not given:
        return "lower", "an empty cell", f"at least one bound for the kind {kind}", None
    if kind == "few_below" and "upper" not in given:
        return "upper", "an empty cell", "the share that few are below", None
    if kind == "order" and len(subjects) != 2:
        return "subject", repr(row["subject"]), "two areas, the smaller first, joined by ;", None
    if kind == "mean" and row["weight"] not in ("areas", "customers"):
        return "weight", repr(row["weight"]), "areas or customers, for a mean", None
    if pd.notna(row["count_low"]) and pd.notna(row["count_high"]):
        if row["count_low"] > row["count_high"]:
            expected = f"a count not above count_high ({row['count_high']})"
            return "count_low", row["count_low"], expected, None
    if row["reading"] in ("default", ""):
        if row["replaces"]:
            return "replaces", repr(row["replaces"]), "an empty cell in a default row", None
    elif row["replaces"] not in default:
        return "replaces", repr(row["replaces"]), "the id of a default statement", None
    return None


def _file(folder, name):
    return paths.shown(Path(folder) / datapackage.resource(folder, name)["path"])


def _refuse(frame, bad, column, expected, file):
    """Raise for the first row where `bad` holds; no cell of these tables has a line break."""
    if bad.any():
        at = int(bad.to_numpy().argmax())
        raise DataError(file, repr(frame[column].iloc[at]), expected, at + 2, column, MEND)
