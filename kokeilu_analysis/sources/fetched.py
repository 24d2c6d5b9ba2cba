"""Table states that were fetched: described beside them, as the study's snapshots are in data/raw.

The description is local, like the states themselves: which of them are here, with checksum, date
and where they came from.
"""

import hashlib
import json
from pathlib import Path

import pandas as pd

from kokeilu_analysis import paths, store
from kokeilu_analysis.errors import DataError
from kokeilu_analysis.sources import datapackage, facts, fetch, panel, revisions, statfin
from kokeilu_analysis.sources.statfin import CUBE, FETCHED

SHARED = ("producer", "attribution", "citation", "licenses")


def entries(folder):
    """Return the descriptions of the fetched states in a folder; [] where there are none."""
    folder = Path(folder)
    if not (folder / datapackage.DESCRIPTOR).is_file():
        return []
    listed = datapackage.load(folder)["resources"]
    return [e for e in listed if e.get("form") == FETCHED and (folder / e["path"]).is_file()]


def entry(cube, content, date, address, like):
    """Return the description of one state.

    Parameters
    ----------
    cube : jsonstat.Cube
        The state, dimensions `statfin.CUBE`.
    content : bytes
        The state as a file.
    date : str
        Of the table state, ``YYYY-MM-DD``.
    address : str
        Where it was asked for.
    like : dict
        Description of a snapshot of the same table, whose producer and licence are taken over.
    """
    areas, months, measures = (cube.codes[dimension] for dimension in CUBE)
    span = f"{months[0]}_{months[-1]}"
    says = {
        "name": f"statfin_fetched_{date}_{span.lower()}",
        "path": f"tyonv_12r5_fetched_{date}_{span}.json",
        "title": f"Table 12r5 as of {date}: {months[0]}–{months[-1]}",
        "description": f"{len(areas)} areas × {len(months)} months × {len(measures)} measures.",
        "mediatype": "application/json",
        "form": FETCHED,
        "vintage": date,
        "page": address,
        "committed": False,
        "required": False,
        "hash": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "bytes": len(content),
    }
    return says | {key: like[key] for key in SHARED if key in like}


def add(folder, new):
    """Add descriptions to those of a folder; one of the same name is replaced.

    Written before the state itself: a state that is described and not there is simply not here.
    """
    path = Path(folder) / datapackage.DESCRIPTOR
    package = {"profile": "data-package", "name": "statfin-fetched", "resources": []}
    if path.is_file():
        package = datapackage.load(folder)
    described = {e["name"]: e for e in [*package["resources"], *new]}
    says = {**package, "resources": [described[name] for name in sorted(described)]}
    return store.write_text(path, json.dumps(says, indent=1, ensure_ascii=False) + "\n")


def keep(cube, address, span, like, say):
    """Say what a fetched state changed, check it as every snapshot is checked, and keep it.

    Parameters
    ----------
    cube : jsonstat.Cube
    address, like
        See `entry`.
    span : (str, str or None)
        Months asked for; None is to the end of the table.
    say : callable
        Receives a remark.

    Yields
    ------
    str
        The report of what changed, before the state is judged; then where it is.

    Raises
    ------
    DataError
        The state is not sound, or the study cannot use it; then nothing is kept of it.
    """
    content, date = fetch.written(cube)
    described = entry(cube, content, date, address, like)
    name = described["path"]
    measures, municipalities = facts.measures(paths.RAW), facts.municipalities(paths.RAW)
    mergers = statfin.merged_codes(facts.boundary_changes(paths.RAW))
    older, against = _last_state(name, measures, say)
    times = [pd.to_datetime(month, format="%YM%m") if month else None for month in span]
    older = revisions.within(older, *times)
    revision = revisions.compare(older, revisions.cube_state(cube), mergers)
    yield from revisions.lines(revision, against)
    known = set(municipalities["municipality"])
    snapshot = statfin.from_cube(cube, name, date, measures, known, mergers)
    statfin.check_sums(snapshot, measures, municipalities)
    statfin.check_between([snapshot], measures, mergers)
    add(paths.SNAPSHOTS, [described])
    store.write_bytes(paths.SNAPSHOTS / name, content)
    if len(revision.cells):
        table = store.write_csv(paths.REVISIONS / f"{described['name']}.csv", revision.cells)
        yield f"Every changed cell: {paths.shown(table)}"
    yield f"{paths.shown(paths.SNAPSHOTS / name)}: `kokeilu build` adds it to the panel."


def _last_state(name, measures, say):
    """Return the last state but the one of that name, and what it is in words."""
    present = panel.load(folder=paths.PROCESSED)
    states, said = (
        revisions.panel_snapshots(present, measures, set(present["vintage"])),
        "the panel",
    )
    earlier = [e for e in entries(paths.SNAPSHOTS) if e["path"] != name]
    if earlier:
        newest = max(earlier, key=lambda e: (e["vintage"], e["name"]))
        towns, changes = facts.municipalities(paths.RAW), facts.boundary_changes(paths.RAW)
        try:
            read = statfin.read_folder(paths.SNAPSHOTS, [newest], measures, towns, changes)
            states, said = states + read, f"{newest['path']} and the panel"
        except DataError as error:
            say(f"{error} It is left out of the comparison.")
    return revisions.state(states), said
