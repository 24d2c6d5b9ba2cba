"""The steps of the study in their order; the command line calls them, nothing else does.

raw facts and snapshots → panel → notebooks → result tables → figures
"""

import functools
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from kokeilu_analysis import made, paths, release, run_registers, store
from kokeilu_analysis.errors import DataError
from kokeilu_analysis.workers import side_by_side

AGAIN = "Run `kokeilu notebooks`."


class Progress:
    """Says on the terminal which step runs and how long it took; never in a notebook."""

    def __init__(self, steps=0, stream=None):
        self.steps, self.done, self.stream = steps, 0, stream or sys.stderr

    @contextmanager
    def step(self, what):
        """Announce a step, time it, and say where it stopped if it fails."""
        self.done += 1
        name = f"[{self.done}/{self.steps}] {what}" if self.steps else what
        self.say(f"{name} …")
        began = time.perf_counter()
        try:
            yield
        except BaseException:
            self.say(f"{name}: stopped")
            raise
        self.say(f"{name}: {time.perf_counter() - began:.1f} s")

    def say(self, text):
        """Print a line at once."""
        print(text, file=self.stream, flush=True)


def import_snapshots(folder, allow_unlisted=False):
    """Check a folder of snapshots, put them where the study reads them, build the panel.

    Everything is checked and built before anything is written.

    Returns
    -------
    DataFrame
        The panel.
    """
    from kokeilu_analysis.sources import fetched, panel

    built, used = _built(folder, allow_unlisted)
    built, folder = run_registers.put_in(built, Progress()), Path(folder)
    states = [e for e in fetched.entries(folder) if e["path"] in used]
    if states:
        fetched.add(paths.SNAPSHOTS, states)
    for name in used:
        store.write_bytes(paths.SNAPSHOTS / name, (folder / name).read_bytes())
    panel.write(built, paths.PROCESSED)
    return built


def build(allow_unlisted=False):
    """Build the panel from the snapshots if they are here, otherwise check the committed one.

    Fetched table states extend it: they fill the months that the study's snapshots do not print.
    Where only such states are here, they extend the panel that is here.

    Parameters
    ----------
    allow_unlisted : bool
        As for `import_snapshots`; needed again for snapshots that were imported with it.

    Returns
    -------
    str
        What was done, in words.
    """
    from kokeilu_analysis.methods import design
    from kokeilu_analysis.sources import datapackage, panel, registers

    said, registered = "", bool(design.load().registers["source"])
    # what a file manager leaves is no snapshot, nor is what `kokeilu fetch` keeps for itself
    names = [p.name for p in paths.SNAPSHOTS.glob("[!.]*") if p.is_file()]
    if set(names) - {datapackage.DESCRIPTOR}:
        built, _ = _built(paths.SNAPSHOTS, allow_unlisted)
        said = paths.shown(paths.SNAPSHOTS)
    elif registered:
        built, said = panel.load(folder=paths.PROCESSED), paths.shown(paths.PANEL)
    if said:
        built = run_registers.put_in(built, Progress())
        panel.write(built, paths.PROCESSED)
        said += " and registers" if registered else ""
        return f"panel built from {said}: {len(built):,} cells"
    datapackage.verify(paths.PROCESSED, "panel")
    if registers.built():
        file, advice = paths.shown(paths.PANEL), "Restore data/processed from the repository."
        expected = "open data, as study.toml says"
        raise DataError(file, "counts from registers", expected, advice=advice)
    return "no snapshots here: the committed panel is used, its checksum is right"


def _listed():
    """Return the descriptions of the study's own snapshots."""
    from kokeilu_analysis.sources import datapackage

    resources = datapackage.load(paths.RAW)["resources"]
    return [e for e in resources if e["path"].startswith(f"{paths.SNAPSHOTS.name}/")]


def _built(folder, allow_unlisted=False):
    """Return the panel that a folder of snapshots makes, and the names of the files used."""
    from kokeilu_analysis.methods import design
    from kokeilu_analysis.sources import facts, fetched, panel, revisions, statfin

    listed, states, folder = _listed(), fetched.entries(folder), Path(folder)
    measures, municipalities = facts.measures(paths.RAW), facts.municipalities(paths.RAW)
    changes, span = facts.boundary_changes(paths.RAW), design.load().panel
    extends = states and not any((folder / Path(e["path"]).name).exists() for e in listed)
    snapshots = statfin.read_folder(
        folder,
        states if extends else listed + states,
        measures,
        municipalities,
        changes,
        allow_unlisted,
    )
    added = {e["path"] for e in states}
    own, new = ([s for s in snapshots if (s.name in added) == is_new] for is_new in (False, True))
    if extends:
        vintages = [e["vintage"] for e in listed]
        own = revisions.panel_snapshots(panel.load(folder=paths.PROCESSED), measures, vintages)
    states = own + revisions.extension(own, new)
    built = panel.build(states, measures, municipalities, changes, span.first, span.last)
    return built, [s.name for s in snapshots]


def fetch(progress, base=None, table=None, first=None, last=None, dry=False):
    """Ask the StatFin interface for table 12r5 as it is now and keep it as a table state.

    Parameters
    ----------
    progress : Progress
    base : str, optional
        Address of the folder of tables; see `pxweb.base_address`.
    table : str, optional
        Name of the table, if it has been renamed.
    first, last : str, optional
        Months such as ``2021-03``; by default from the panel's first month to the table's last.
    dry : bool
        Say what would be asked and ask for limits and metadata only; nothing is written.

    Yields
    ------
    str
        Lines for the reader: what is asked, or what changed and where the state is.

    Raises
    ------
    KokeiluError
        The server does not answer, or its answer is no sound state of the table; then the states
        that are here stay as they were, and what has arrived is kept.
    """
    from kokeilu_analysis.methods import design
    from kokeilu_analysis.sources import answers, facts, fetched, pxweb
    from kokeilu_analysis.sources import fetch as asking

    span = [asking.month_code(m) if m else None for m in (first, last)]
    span[0] = span[0] or f"{design.load().panel.first:%YM%m}"
    kept = None if dry else answers.Answers(paths.ANSWERS)
    client = pxweb.Client(pxweb.base_address(base), kept, say=progress.say)
    codes = list(facts.measures(paths.RAW)["source_code"])

    def plan():
        with progress.step(f"limits and metadata of {client.base}"):
            return asking.plan(client, codes, *span, table)

    drawn = plan()
    if dry:
        yield from drawn.lines(client.address(drawn.table))
        return
    for note in drawn.notes:
        progress.say(note)
    plans = iter([drawn])
    cube = asking.read(client, lambda: next(plans, None) or plan(), progress)
    yield from fetched.keep(cube, client.address(drawn.table), span, _listed()[0], progress.say)


def publish(progress, what, make):
    """Run what writes to ``reports/``: all of it goes through here, and here stands the gate."""
    from kokeilu_analysis.report import disclosure

    with progress.step(what):
        disclosure.require()
        return make()


def export(progress):
    """Export the figures in three languages."""
    from kokeilu_analysis.report import export

    return publish(progress, f"figures to {paths.shown(paths.FIGURES)}", export.figures)


def documents(progress):
    """Set the memo and the area pages as PDF in three languages, two languages side by side."""
    from kokeilu_analysis.report import numbers

    def make():
        with side_by_side(2) as pool:
            return [path for files in pool.map(_documents, numbers.LANGUAGES) for path in files]

    return publish(progress, f"memo and area pages to {paths.shown(paths.REPORTS)}", make)


def _documents(lang):
    from kokeilu_analysis.report import area_pages, memo

    return [memo.build(lang), *area_pages.build(lang)]


def packs(progress):
    """Put memo, area pages, figures and data of each language into one file."""
    from kokeilu_analysis import trace
    from kokeilu_analysis.report import numbers, pack

    def make():
        tables, vintages = trace.used(), trace.vintages()
        return [pack.build(lang, tables, vintages) for lang in numbers.LANGUAGES]

    return publish(progress, f"packs to {paths.shown(paths.REPORTS)}", make)


def render(progress):
    """Render the site from executed notebooks, result tables and figures (exported if need be)."""
    from kokeilu_analysis import trace
    from kokeilu_analysis.report import disclosure, site
    from kokeilu_analysis.report.explorer import GRID

    export(progress)
    if store.origin(paths.PANEL) and made.kept(_explorer_stamp(), _explorer_key()) is None:
        advice = f"Run `kokeilu explorer`. {AGAIN}"
        said, expected = "effects on another panel", "effects on this one"
        raise DataError(f"{GRID}.csv", said, expected, advice=advice)
    with disclosure.publishable() as books:
        rendering = functools.partial(site.render, trace.chain, notebooks=books)
        return publish(progress, f"site to {paths.shown(paths.SITE)}", rendering)


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

    with progress.step("every setting of the explorer (some three minutes)"):
        plan, rates, evidence, customers, kept = explorer_parts()
        effects, plain = explorer_grid.area_effects(rates, plan)
        grid = explorer_grid.grid(effects, plain, evidence, customers, facts.area_groups(), kept)
        results.write(GRID, grid)
        results.write(LEVELS, explorer_grid.levels())
    written = [paths.RESULTS / f"{name}.csv" for name in (GRID, LEVELS)]
    made.keep(_explorer_stamp(), _explorer_key(), written)
    return [GRID, LEVELS]


def _explorer_stamp():
    return paths.REPORTS / "made" / "explorer.json"


def _explorer_key():
    """Return a digest of all that decides the explorer's tables."""
    data = [p for p in paths.RAW.iterdir() if p.is_file()]
    data += [paths.STUDY, paths.PANEL, paths.RESULTS / "02_default_evidence.csv"]
    return made.key([*made.code(), *data])


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
    """Check the data folders against their descriptions; with register input, for disclosure too.

    Returns
    -------
    list of (str, list of str)
        File, and ``["right"]``, ``["not here (optional)"]`` or what is wrong.
    """
    from kokeilu_analysis import notebooks
    from kokeilu_analysis.methods import estimates
    from kokeilu_analysis.report import disclosure
    from kokeilu_analysis.sources import contracts, datapackage, facts

    local = (paths.SNAPSHOTS / datapackage.DESCRIPTOR).is_file()  # states that were fetched
    found = []
    for folder in (paths.RAW, paths.PROCESSED, *[paths.SNAPSHOTS] * local):
        found += contracts.report(folder, {"estimates": estimates.COLUMNS})
    logs = disclosure.LOG, disclosure.CHECKED  # of a register run, for the owner of the data
    found += [*contracts.undescribed(paths.RAW), *contracts.undescribed(paths.PROCESSED, logs)]
    for agrees in (facts.treatment, facts.evidence):  # what no single description can say
        try:
            agrees(folder=paths.RAW)
        except DataError as fault:
            if not any(str(fault) in said for _, said in found):
                found.append((fault.file, [str(fault)]))
    old = notebooks.outdated() if disclosure.register_input() else []
    if old:  # its tables may be those of open data, and would be called a register's
        said = "found the results of another panel or design, expected those of this one. "
        return [*found, *[(paths.shown(p), [f"{paths.shown(p)}: {said}{AGAIN}"]) for p in old]]
    return [*found, *release.report()]
