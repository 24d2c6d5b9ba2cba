"""The only place that knows folder names."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent
LOCK = ROOT / "requirements.lock"
NOTEBOOKS = ROOT / "notebooks"
RAW = ROOT / "data" / "raw"
SNAPSHOTS = RAW / "statfin"
ANSWERS = SNAPSHOTS / "answers"  # of the StatFin interface, as they arrived
REVISIONS = SNAPSHOTS / "revisions"  # cells that a fetched table state changed
PROCESSED = ROOT / "data" / "processed"
PANEL = PROCESSED / "panel.parquet"
RESULTS = PROCESSED / "results"
REPORTS = ROOT / "reports"
TURN = REPORTS / ".turn"  # held by the run that is at work here
FIGURES = REPORTS / "figures"
SITE = REPORTS / "site"
README_FIGURES = ROOT / "docs" / "figures"
STUDY = ROOT / "study.toml"


def shown(path):
    """Return `path` as a reader of messages should see it: relative to the project.

    >>> shown(RAW / "timeline.csv")
    'data/raw/timeline.csv'
    """
    path = Path(path)
    try:
        return path.resolve().relative_to(ROOT).as_posix()
    except ValueError:
        return path.as_posix()
