"""The notebooks: their order, what each reads, and their execution when something has changed."""

import json
import os
import re
import tempfile

from kokeilu_analysis import made, paths, release, store
from kokeilu_analysis.errors import DataError, KokeiluError
from kokeilu_analysis.report import disclosure


def found():
    """Return the notebooks in their order: the two-digit prefix is the order."""
    books = sorted(paths.NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    if not books:
        raise DataError(paths.shown(paths.NOTEBOOKS), "no notebooks", "01_… to 06_…")
    return books


def run(progress, workers=2, anew=False):
    """Execute the notebooks in order; two side by side where neither reads the other's results.

    A notebook stays as it is while it, its result tables and all that decides them are those of its
    last execution here, by content; `anew` executes all.
    """
    from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

    def work(path):
        with progress.step(f"notebook {path.stem}"):
            if path == books[-1]:
                release.settle()  # it exports, and all that it exports is there
            key = digest(path)
            if anew or made.kept(stamp(path), key) is None:
                execute(path)
                made.keep(stamp(path), key, [path, *tables(path)])

    with tempfile.TemporaryDirectory() as home, ThreadPoolExecutor(workers) as pool:
        # IPython keeps a history in the user's home, Jupyter its sockets; a study leaves nothing
        os.environ |= {"IPYTHONDIR": home, "JUPYTER_RUNTIME_DIR": home}
        books = found()
        waiting, running, done = list(books), {}, set()
        while waiting or running:
            for path in list(waiting):
                if len(running) < workers and reads(path) <= done:
                    running[pool.submit(work, path)] = path
                    waiting.remove(path)
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                done.add(running.pop(future).stem[:2])
                future.result()  # the first failure stops the study
    release.settle()


def stamp(path):
    """Return where it is kept what a notebook was made from."""
    return paths.REPORTS / "made" / f"{path.stem}.json"


def digest(path):
    """Return the key of all that decides a notebook's results beside its own text.

    Code of the package, the lock, installed packages, the design, facts, panel, result tables of
    the notebooks that it reads and those that no notebook writes. What the disclosure check writes
    beside the panel decides no result.
    """
    data = [p for folder in (paths.RAW, paths.PROCESSED) for p in folder.iterdir() if p.is_file()]
    data = [p for p in data if p.name not in disclosure.WRITTEN]
    others = {name for p in found() if p.stem[:2] not in reads(path) for name in writes(p)}
    data += [p for p in paths.RESULTS.glob("*.csv") if p.stem not in others]
    return made.key([*made.code(), paths.STUDY, *data])


def outdated():
    """Return the notebooks whose last execution here was on something else than the study is now.

    A run that was stopped leaves tables of an earlier panel beside those of the new one.
    """
    return [path for path in found() if made.kept(stamp(path), digest(path)) is None]


def tables(path):
    """Return the result tables that are here of those that a notebook writes."""
    written = (paths.RESULTS / f"{name}.csv" for name in writes(path))
    return sorted(table for table in written if table.exists())


def writes(path):
    """Return the names of the result tables that a notebook writes, read off its code."""
    return re.findall(r'results\.write\("(\w+)"', _code(path))


def arithmetic():
    """Return the variables that make newer x86 processors compute as those of 2013 do.

    NumPy and OpenBLAS choose among ways of adding up by the processor, and the ways differ in the
    last digits, which a result table then shows in its twelfth. AVX2 is common to nearly all x86
    processors in use; on others nothing is set. The variables work at the start of a process.

    Returns
    -------
    dict of str
    """
    import numpy as np

    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    if not {"AVX2", "X86_V3"} & set(found):
        return {}
    newer = [name for name in found if name.startswith(("AVX512", "X86_V4"))]
    disabled = {"NPY_DISABLE_CPU_FEATURES": " ".join(newer)} if newer else {}
    return {"OPENBLAS_CORETYPE": "Haswell"} | disabled


def execute(path, workdir=None):
    """Run one notebook from top to bottom in a clean kernel and save it, whole or not at all.

    Execution times are left out, so an unchanged study gives unchanged files.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    book = nbformat.read(path, as_version=4)
    client = NotebookClient(
        book,
        # the kernel's remarks on its transport would stand in the middle of the progress lines
        extra_arguments=["--IPKernelApp.log_level=40"],
        timeout=600,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(workdir or path.parent)}},
    )
    try:
        client.execute(env=arithmetic() | os.environ)
    except CellExecutionError as error:
        cell = next(
            (
                c
                for c in book.cells
                if any(o["output_type"] == "error" for o in c.get("outputs", []))
            ),
            None,
        )
        first = cell["source"].splitlines()[0] if cell else ""
        said = str(error.evalue).splitlines()[0] if error.evalue else error.ename
        raise KokeiluError(
            f"{paths.shown(path)}: the cell that begins {first!r} failed with {error.ename}: {said}"
        ) from error
    except (DeadKernelError, RuntimeError) as error:
        raise KokeiluError(f"{paths.shown(path)}: the kernel stopped: {error}.") from error
    book.metadata.pop("widgets", None)
    # the version of Python differs between machines and says nothing about the study
    book.metadata["language_info"] = {"name": "python"}
    store.write_text(path, nbformat.writes(book) + "\n")


def reads(path):
    """Return the numbers of the earlier notebooks whose results a notebook reads.

    Read off its code: ``results.read("03_did")``, the tables of the figures it shows, and all of
    them where it exports.
    """
    from kokeilu_analysis.report import figures

    code = _code(path)
    named = re.findall(r'results\.read\("(\w+)"', code)
    shown = re.findall(r'figures\.show\("(\w+)"', code)
    named += [t for i in shown for t in figures.tables(i)]
    earlier = {p.stem[:2] for p in found() if p.stem < path.stem}
    if "export.figures(" in code or "headline(" in code:
        return earlier
    return earlier & {t[:2] for t in named}


def _code(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
