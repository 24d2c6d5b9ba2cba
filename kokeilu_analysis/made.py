"""What was made from what: a thing is made again unless all that decides it is the same by content.

A stamp is a small JSON file beside what was made. It holds the key, a digest of everything that
decides, and the checksum of every file that was made. Dates and names of folders play no part.
"""

import hashlib
import json
import os
import sys
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

from kokeilu_analysis import paths, store


def key(files, *words):
    """Return the SHA-256 of files (name and content), words and `environment`.

    Parameters
    ----------
    files : iterable of path
        Their order does not matter; one that is not there counts as such.
    *words : str
        What decides beside files.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256("\n".join([environment(), *words]).encode())
    for path in sorted({Path(f) for f in files}):
        content = store.sha256(path) if path.exists() else "absent"
        digest.update(f"{paths.shown(path)} {content}\n".encode())
    return digest.hexdigest()


@cache
def environment():
    """Return Python and every installed package with its version, one a line."""
    found = {f"{d.metadata['Name']} {d.version}" for d in distributions()}
    return "\n".join([sys.version, *sorted(found)])


def code(folder=paths.PACKAGE):
    """Return what can decide a result beside data: the package's files and the lock."""
    own = [p for p in Path(folder).rglob("*") if p.is_file() and p.suffix != ".pyc"]
    return [*own, paths.LOCK]


def kept(stamp, digest):
    """Return the files that a stamp names if it has this key and they are whole, else None."""
    try:
        last = json.loads(Path(stamp).read_text(encoding="utf-8"))
        files = {Path(stamp).parent / name: made for name, made in last["files"].items()}
        same = last["key"] == digest and all(store.sha256(p) == d for p, d in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return list(files) if same else None


def keep(stamp, digest, files):
    """Write the stamp of files that have just been made; paths are relative to the stamp."""
    stamp = Path(stamp)
    names = {Path(os.path.relpath(p, stamp.parent)).as_posix(): store.sha256(p) for p in files}
    store.write_text(stamp, json.dumps({"key": digest, "files": names}, indent=1) + "\n")
