"""The only place that knows folder names."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
RAW = ROOT / "data" / "raw"
SNAPSHOTS = RAW / "statfin"
PROCESSED = ROOT / "data" / "processed"
PANEL = PROCESSED / "panel.parquet"
RESULTS = PROCESSED / "results"
REPORTS = ROOT / "reports"
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
