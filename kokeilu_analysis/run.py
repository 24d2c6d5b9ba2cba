"""The steps of the study in their order; the command line calls them, nothing else does.

raw facts and snapshots → panel → notebooks → result tables → figures
"""

import os
import re
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from kokeilu_analysis import paths, store
from kokeilu_analysis.errors import DataError, KokeiluError


class Progress:
    """Says on the terminal which step runs and how long it took; never in a notebook."""

    def __init__(self, steps=0, stream=None):
        self.steps, self.done, self.stream = steps, 0, stream or sys.stderr

    @contextmanager
    def step(self, what):
        """Announce a step, time it, and say where it stopped if it fails."""
        self.done += 1
        name = f"[{self.done}/{self.steps}] {what}" if self.steps else what
        self._say(f"{name} …")
        began = time.perf_counter()
        try:
            yield
        except BaseException:
            self._say(f"{name}: stopped")
            raise
        self._say(f"{name}: {time.perf_counter() - began:.1f} s")

    def _say(self, text):
        print(text, file=self.stream, flush=True)


def notebooks():
    """Return the notebooks in their order: the two-digit prefix is the order."""
    found = sorted(paths.NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    if not found:
        raise DataError(paths.shown(paths.NOTEBOOKS), "no notebooks", "01_… to 06_…")
    return found


def import_snapshots(folder, allow_unlisted=False):
    """Check a folder of snapshots, put them where the study reads them, build the panel.

    Everything is checked and built before anything is written.

    Returns
    -------
    DataFrame
        The panel.
    """
    from kokeilu_analysis.sources import panel

    built, used = _built(folder, allow_unlisted)
    folder = Path(folder)
    for name in used:
        store.write_bytes(paths.SNAPSHOTS / name, (folder / name).read_bytes())
    panel.write(built, paths.PROCESSED)
    return built


def build(allow_unlisted=False):
    """Build the panel from the snapshots if they are here, otherwise check the committed one.

    Parameters
    ----------
    allow_unlisted : bool
        As for `import_snapshots`; needed again for snapshots that were imported with it.

    Returns
    -------
    str
        What was done, in words.
    """
    from kokeilu_analysis.sources import datapackage, panel

    if any(paths.SNAPSHOTS.glob("[!.]*")):  # what a file manager leaves is no snapshot
        built, _ = _built(paths.SNAPSHOTS, allow_unlisted)
        panel.write(built, paths.PROCESSED)
        return f"panel built from {paths.shown(paths.SNAPSHOTS)}: {len(built):,} cells"
    datapackage.verify(paths.PROCESSED, "panel")
    return "no snapshots here: the committed panel is used, its checksum is right"


def _built(folder, allow_unlisted=False):
    from kokeilu_analysis.methods import design
    from kokeilu_analysis.sources import datapackage, facts, panel, statfin

    entries = [
        e
        for e in datapackage.load(paths.RAW)["resources"]
        if e["path"].startswith(f"{paths.SNAPSHOTS.name}/")
    ]
    measures, municipalities = facts.measures(paths.RAW), facts.municipalities(paths.RAW)
    changes, span = facts.boundary_changes(paths.RAW), design.load().panel
    snapshots = statfin.read_folder(
        folder, entries, measures, municipalities, changes, allow_unlisted
    )
    built = panel.build(snapshots, measures, municipalities, changes, span.first, span.last)
    return built, [s.name for s in snapshots]


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
        client.execute()
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
    import json

    from kokeilu_analysis.report import figures

    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    tables = re.findall(r'results\.read\("(\w+)"', code)
    shown = re.findall(r'figures\.show\("(\w+)"', code)
    tables += [t for i in shown for t in figures.tables(i)]
    earlier = {p.stem[:2] for p in notebooks() if p.stem < path.stem}
    if "export.figures(" in code or "headline(" in code:
        return earlier
    return earlier & {t[:2] for t in tables}


def run_notebooks(progress, workers=2):
    """Execute the notebooks in order; two side by side where neither reads the other's results."""
    from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

    def work(path):
        with progress.step(f"notebook {path.stem}"):
            execute(path)

    with tempfile.TemporaryDirectory() as home, ThreadPoolExecutor(workers) as pool:
        # IPython keeps a history in the user's home, Jupyter its sockets; a study leaves nothing
        os.environ |= {"IPYTHONDIR": home, "JUPYTER_RUNTIME_DIR": home}
        waiting, running, done = notebooks(), {}, set()
        while waiting or running:
            for path in list(waiting):
                if len(running) < workers and reads(path) <= done:
                    running[pool.submit(work, path)] = path
                    waiting.remove(path)
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                done.add(running.pop(future).stem[:2])
                future.result()  # the first failure stops the study


def export(progress):
    """Export the figures in three languages."""
    from kokeilu_analysis.report import export

    with progress.step(f"figures to {paths.shown(paths.FIGURES)}"):
        return export.figures()


def documents(progress):
    """Set the memo and the area pages as PDF in three languages, two languages side by side."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from kokeilu_analysis.report import numbers

    with progress.step(f"memo and area pages to {paths.shown(paths.REPORTS)}"):
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            done = list(pool.map(_documents, numbers.LANGUAGES))
    return [path for files in done for path in files]


def _documents(lang):
    from kokeilu_analysis.report import area_pages, memo

    return [memo.build(lang), *area_pages.build(lang)]


def render(progress):
    """Render the site from executed notebooks, result tables and figures (exported if need be)."""
    from kokeilu_analysis.report import site

    export(progress)
    with progress.step(f"site to {paths.shown(paths.SITE)}"):
        return site.render()


def blueprints():
    """Return what simulated panels are made from: the study's design and residuals before COVID.

    Returns
    -------
    (simulate.Blueprint, simulate.Blueprint, design.Design)
        From the baseline to the end of the main window; over as many months as there are residuals,
        which trends need; and the study's choices.
    """
    import pandas as pd

    from kokeilu_analysis import results
    from kokeilu_analysis.methods import design, simulate
    from kokeilu_analysis.sources import facts, panel

    plan = design.load()
    cells = panel.load([plan.outcome, "labour_force"])
    force = panel.labour_force(cells, plan.labour_force_year)
    units = facts.treatment().query("group != 'outside'")
    rates = panel.rates(cells, plan.outcome, force)
    rates = rates.merge(units, on="municipality", validate="m:1")
    known = results.read("02_area_bounds").set_index("area_id")
    known = known.rename(columns={"bound_low": "lower", "bound_high": "upper"})
    baseline, post = plan.windows["baseline"], plan.windows[plan.post]
    names = ("value", "municipality", "month", "is_trial", plan.start, "labour_force", plan.cluster)
    calm = {"until": baseline.last, "backlog": known}
    times = pd.date_range(baseline.first, post.last, freq="MS")
    main = simulate.blueprint(rates, *names, **calm, times=times)
    return main, simulate.blueprint(rates, *names, **calm), plan


def simulate(progress, draws, seed=None):
    """Simulate on the real design and write how estimators and intervals fared.

    Parameters
    ----------
    draws : int
    seed : int, optional
        That of ``study.toml`` if left out.

    Returns
    -------
    list of str
        Names of the tables written.
    """
    from kokeilu_analysis import results
    from kokeilu_analysis.methods import recovery, recovery_lag

    main, long, plan = blueprints()
    seed = plan.curve.seed if seed is None else seed
    windows = plan.windows["baseline"].months, plan.windows[plan.post].months
    with progress.step(f"inference, {draws:,} draws"):
        table = recovery.table(main, *windows, draws=draws, seed=seed, long=long)
        results.write("simulation_inference", table)
    with progress.step(f"starting lag, {draws:,} draws"):
        table = recovery_lag.table(main, *windows, draws=draws, seed=seed)
        results.write("simulation_lag", table)
    return ["simulation_inference", "simulation_lag"]


def explorer_parts():
    """Return what the explorer's grid is solved from, as notebooks 02 and 04 load it.

    Returns
    -------
    (design.Design, DataFrame, DataFrame, Series, set)
        Design, rates by municipality and month, statements of all readings, unemployed of February
        2021 by area, and the ids of returns, to which the letter gives way.
    """
    import pandas as pd

    from kokeilu_analysis import results
    from kokeilu_analysis.methods import design
    from kokeilu_analysis.sources import facts, panel

    plan, treatment = design.load(), facts.treatment().query("group != 'outside'")
    cells = panel.load([plan.outcome, "labour_force"])
    force = panel.labour_force(cells, plan.labour_force_year)
    rates = panel.rates(cells, plan.outcome, force).merge(treatment, on="municipality")
    default = results.read("02_default_evidence")
    evidence = pd.concat([default, facts.evidence().query("reading != 'default'")])
    before = plan.start - pd.DateOffset(months=1)
    stock = cells[(cells["month"] == before) & (cells["measure"] == plan.outcome)]
    trial = treatment[treatment["is_trial"] == 1].set_index("municipality")["area_id"]
    customers = stock.set_index("municipality")["value"].groupby(trial).sum()
    kept = {i for i in default["statement_id"] if i.startswith("survey_")}
    return plan, rates, evidence, customers, kept


def explorer(progress):
    """Solve every setting of the explorer and write its two tables; return their names."""
    from kokeilu_analysis import results
    from kokeilu_analysis.methods import explorer_grid
    from kokeilu_analysis.report.explorer import GRID, LEVELS
    from kokeilu_analysis.sources import facts

    with progress.step("every setting of the explorer (about a minute)"):
        plan, rates, evidence, customers, kept = explorer_parts()
        effects, plain = explorer_grid.area_effects(rates, plan)
        grid = explorer_grid.grid(effects, plain, evidence, customers, facts.area_groups(), kept)
        results.write(GRID, grid)
        results.write(LEVELS, explorer_grid.levels())
    return [GRID, LEVELS]


def survey_template(path):
    """Write the form to municipalities; return the path as readers see it."""
    from kokeilu_analysis.sources import facts, survey_form

    path = Path(path)
    if path.suffix not in (".xlsx", ".csv"):
        raise DataError(path.name, f"ending {path.suffix or 'none'}", ".xlsx or .csv")
    survey_form.write_template(path, facts.treatment(), format=path.suffix[1:])
    return paths.shown(path)


def survey_read(files):
    """Check returns and keep the accepted rows.

    Returns
    -------
    (int, int, DataFrame)
        Rows accepted now, rows kept in all, problems (file, cell, found, expected, advice).
    """
    from kokeilu_analysis.sources import datapackage, facts, survey

    returns = survey.read_returns(files, facts.treatment())
    saved = survey.save_returns(returns, paths.RAW)
    datapackage.describe(paths.RAW, "survey_returns")
    return len(returns.accepted), len(saved.accepted), saved.problems


def check():
    """Check the data folders against their descriptions.

    Returns
    -------
    list of (str, str)
        Resource and "right", or what is wrong.
    """
    from kokeilu_analysis.sources import datapackage

    report = []
    for folder in (paths.RAW, paths.PROCESSED):
        for entry in datapackage.load(folder)["resources"]:
            name = f"{paths.shown(folder)}/{entry['path']}"
            here = (folder / entry["path"]).exists()
            if not here and not entry.get("committed", True):
                report.append((name, "not here (optional)"))
                continue
            try:
                if entry["path"].endswith(".csv") and "schema" in entry:
                    datapackage.read(folder, entry["name"])
                else:
                    datapackage.verify(folder, entry["name"])
                report.append((name, "right"))
            except DataError as error:
                report.append((name, str(error)))
    return report
