"""How files are written: whole or not at all, the same bytes for the same content."""

import hashlib
import io
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

FLOAT_FORMAT = "%.12g"  # enough to reproduce every result to 1e-9, short enough to be stable


@contextmanager
def turn(lock, say):
    """Let one run at a time write in this folder; another one says so and waits.

    Parameters
    ----------
    lock : path
        A file that stands for the folder; the system frees it when its holder ends, however.
    say : callable
        Takes the sentence for the one who waits.
    """
    from filelock import FileLock, Timeout

    lock = Path(lock)
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock)
    try:
        held.acquire(blocking=False)
    except Timeout:
        say("Another run is at work in this folder; this one waits until it has ended …")
        held.acquire()
    try:
        yield
    finally:
        held.release()


def write_bytes(path, content):
    """Write `content` to `path` through a temporary file in the same folder and a rename.

    A reader sees the old file or the new one, never a part. A file that already holds the same
    bytes is left untouched, so that an unchanged run changes nothing.
    """
    path = Path(path)
    if path.exists() and path.read_bytes() == content:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes private files; outputs are for everyone
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def write_text(path, text):
    """Write UTF-8 text with ``\\n`` line ends; see `write_bytes`."""
    return write_bytes(path, text.encode("utf-8"))


def write_csv(path, frame):
    """Write a frame as UTF-8 CSV with ``\\n`` line ends and a fixed number format.

    Zero has no sign, or rounding noise would decide whether a file stays the same.
    """
    floats = frame.select_dtypes("floating")
    frame = frame.assign(**{name: floats[name] + 0.0 for name in floats})
    text = frame.to_csv(index=False, lineterminator="\n", float_format=FLOAT_FORMAT)
    return write_text(path, text)


def write_parquet(path, frame):
    """Write a frame as Parquet (zstd) without index; see `write_bytes`."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, compression="zstd", compression_level=12)
    return write_bytes(path, buffer.getvalue())


def sha256(path):
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def origin(panel):
    """Return what counts a panel was built from, by the statistics of its file.

    Parameters
    ----------
    panel : path

    Returns
    -------
    str
        Empty for open data or no file, else ``register`` or ``simulated`` (register).
    """
    import pyarrow.parquet as pq

    if not Path(panel).exists():
        return ""
    file = pq.ParquetFile(panel)
    at = file.schema_arrow.get_field_index("vintage")
    groups = [file.metadata.row_group(n).column(at) for n in range(file.metadata.num_row_groups)]
    # open vintages are dates or empty, and every digit sorts before ":" and every letter after it
    ends = [":unknown" if g.statistics is None else g.statistics.max for g in groups]
    latest = max(ends, default="")
    if latest <= ":":
        return ""
    return "simulated" if latest.startswith("simulated") else "register"
