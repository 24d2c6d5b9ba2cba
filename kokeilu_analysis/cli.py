"""The command line of the study; `kokeilu --help` lists its commands."""

import argparse
import sys

from kokeilu_analysis import __version__, paths, store
from kokeilu_analysis.errors import KokeiluError

SHOWN = 20  # faults of a file that `kokeilu check` prints


def main(arguments=None):
    """Run one command; a failure is one sentence on stderr and exit code 1."""
    options = _parser().parse_args(arguments)
    try:
        if options.run in (_trace, _survey_template):  # they only read here
            return options.run(options) or 0
        with store.turn(paths.TURN, _say):
            return options.run(options) or 0
    except KokeiluError as error:
        print(f"kokeilu: {error}", file=sys.stderr)
    except BrokenPipeError:  # the reader of a pipe has seen enough, as `kokeilu trace | head` has
        sys.stdout = None
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        print(f"kokeilu: {error.strerror or error}{place}.", file=sys.stderr)
    except KeyboardInterrupt:
        print("kokeilu: stopped; files already written are whole.", file=sys.stderr)
        return 130
    return 1


def _say(text):
    print(f"kokeilu: {text}", file=sys.stderr, flush=True)


def _parser():
    parser = argparse.ArgumentParser(
        prog="kokeilu",
        description="Evaluation of Finland's municipal employment trials 2021-2024 "
        "(työllisyyden kuntakokeilut), with the starting plan backlog counted.",
        epilog="Start with `kokeilu study`. Every command can be repeated; "
        "nothing is ever half-written.",
    )
    parser.add_argument("--version", action="version", version=f"kokeilu {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, run, says, more=None):
        sub = commands.add_parser(name, help=says, description=more or says)
        sub.set_defaults(run=run)
        return sub

    study = command(
        "study",
        _study,
        "everything: panel, notebooks, figures, headline numbers",
        "Builds the panel (or checks the committed one), executes the notebooks in order, exports "
        "the figures and prints the headline numbers.",
    )
    sub = command(
        "import",
        _import,
        "read a folder of StatFin 12r5 snapshots and build the panel from them",
        "Checks every snapshot of StatFin table 12r5 cell by cell, against sums and against each "
        f"other, copies the files to {paths.shown(paths.SNAPSHOTS)} and builds the panel. A faulty "
        "snapshot is refused with file, row and column, and the earlier panel stays.",
    )
    sub.add_argument("folder", metavar="DIR", help="folder that holds the snapshots")
    fetched = command(
        "fetch",
        _fetch,
        "ask StatFin for table 12r5 as it is now and say what has changed",
        "Asks the StatFin interface (PxWeb, version 1) for table 12r5 within the limits that the "
        "server tells, says which cells changed against the last table state, and keeps the new "
        f"one in {paths.shown(paths.SNAPSHOTS)}; `kokeilu build` then extends the panel by it. "
        "After an interruption the same command goes on where it stopped.",
    )
    fetched.add_argument(
        "--base", metavar="URL", help="folder of tables (or the variable KOKEILU_STATFIN)"
    )
    fetched.add_argument("--table", metavar="NAME", help="the table's file, if it is renamed")
    fetched.add_argument(
        "--from", dest="first", metavar="MONTH", help="such as 2022-03; the panel's first month"
    )
    fetched.add_argument("--to", dest="last", metavar="MONTH", help="the table's last month")
    fetched.add_argument(
        "--dry-run", action="store_true", help="say what would be asked; write nothing"
    )
    built = command(
        "build", _build, "build the panel from imported snapshots, or check the committed one"
    )
    for reader in (study, sub, built):
        reader.add_argument(
            "--allow-unlisted",
            action="store_true",
            help="accept snapshots whose checksum is not the described one, if their content is "
            "sound; for a table state newer than the study",
        )
    books = command(
        "notebooks",
        _notebooks,
        "execute the notebooks in order and save them",
        "Executes the notebooks whose text, data, code or lock have changed since their last "
        "execution here, in order, and saves them.",
    )
    for reader in (study, books):
        reader.add_argument(
            "--anew", action="store_true", help="execute every notebook, changed or not"
        )
    command(
        "export",
        _export,
        "export figures, memo, area pages and packs in Finnish, Swedish, English",
        "Exports the figures (SVG, PNG, CSV), the memo and a page for each trial area (PDF) in "
        "Finnish, Swedish and English, and packs them with the data into one file a language "
        f"({paths.shown(paths.REPORTS)}/kokeilu-fi.zip and so on).",
    )
    command(
        "explorer",
        _explorer,
        "solve every setting of the site's explorer again",
        "Computes explorer_grid.csv and explorer_levels.csv, which the page of `kokeilu render` "
        "looks its numbers up in; run it when returns or the design have changed.",
    )
    command(
        "render",
        _render,
        "render the study as a site that opens from a file",
        "Makes a static site from executed notebooks, result tables and figures: answer, "
        "figures with their numbers, explorer of assumptions (Finnish, Swedish, English) and the "
        "notebooks. It needs no network and, but for the explorer's controls, no JavaScript.",
    )
    sub = command(
        "simulate",
        _simulate,
        "plant known effects in simulated panels and count how the methods fare",
        "Simulates panels with a known truth on the real design and writes "
        "simulation_inference.csv and simulation_lag.csv to the result tables. The same draws and "
        "seed give the same tables.",
    )
    sub.add_argument("--draws", type=_from(1), default=2000, metavar="N", help="panels (2000)")
    sub.add_argument("--seed", type=_from(0), metavar="S", help="a whole number; as in study.toml")
    sub = command("check", _check, "check data/raw and data/processed against their descriptions")
    sub.add_argument(
        "--describe",
        action="store_true",
        help="write the present checksums into data/raw/datapackage.json after a meant change",
    )
    sub = command(
        "trace",
        _trace,
        "say where a figure or a number comes from",
        "Prints the chain from a printed figure or number to its source: row of a result table, "
        "notebook and cell, functions, measures and months of the panel, source files with date "
        "and SHA-256. Without KEY it lists what can be traced.",
    )
    sub.add_argument(
        "key",
        metavar="KEY",
        nargs="*",
        help="a figure (F3), a number (estimate), a result table or its line (03_did.csv:6)",
    )
    register = commands.add_parser("registers", help="person-level spells (docs/registers.md)")
    actions = register.add_subparsers(required=True, metavar="ACTION")
    sub = actions.add_parser(
        "check",
        help="check a delivery of spells and name its first fault by file, column and row",
        description="Checks spells without counting them. `kokeilu build` checks and counts those "
        "that [registers] in study.toml names, and puts the counts into the panel.",
    )
    sub.add_argument("source", metavar="SOURCE", help="a folder, or an engine's address#table")
    sub.set_defaults(run=_registers_check)
    sub = actions.add_parser(
        "simulate",
        help="write simulated spells of any number, and the backlog planted in them",
        description="Writes simulated spells to try the reading of registers with. Nobody in them "
        "is real; file names and the panel made from them say that they are simulated.",
    )
    sub.add_argument("folder", metavar="DIR", help="an empty folder, or one to make")
    rows = {"type": _from(1), "default": 1_000_000, "metavar": "N", "help": "spells (1000000)"}
    sub.add_argument("--rows", **rows)
    sub.add_argument("--seed", type=_from(0), default=1, metavar="S", help="a whole number (1)")
    sub.add_argument(
        "--even",
        action="store_true",
        help="municipalities of one size: few spells fill them, and fewer counts are small",
    )
    sub.set_defaults(run=_registers_simulate)
    survey = commands.add_parser("survey", help="the form to municipalities and their returns")
    actions = survey.add_subparsers(required=True, metavar="ACTION")
    sub = actions.add_parser(
        "template",
        help="write the form: workbook with lists and instructions, or CSV",
        description="Writes the form that asks municipalities for their plan backlog, in Finnish "
        "and Swedish; the ending .xlsx or .csv of FILE decides the form.",
    )
    sub.add_argument("file", metavar="FILE", nargs="?", default="kokeilu-lomake.xlsx")
    sub.set_defaults(run=_survey_template)
    sub = actions.add_parser(
        "read",
        help="check filled forms, keep what is sound, name every problem by its cell",
        description="Checks returns, adds the accepted rows to data/raw/survey_returns.csv and "
        "lists every problem with its cell. Accepted rows of a partly faulty file are kept. "
        "`kokeilu study` then uses them as evidence.",
    )
    sub.add_argument("files", metavar="FILE", nargs="+")
    sub.set_defaults(run=_survey_read)
    return parser


def _study(options):
    from kokeilu_analysis import notebooks, run
    from kokeilu_analysis.report import headline

    progress = run.Progress(steps=len(notebooks.found()) + 2)
    with progress.step("panel"):
        said = run.build(options.allow_unlisted)
    notebooks.run(progress, anew=options.anew)
    run.export(progress)
    print()
    for line in headline.headline():
        print(f"- {line}")
    print(
        f"\nNotebooks: {paths.shown(paths.NOTEBOOKS)}/ (read them in order; `make lab` opens them)"
        f"\nResult tables: {paths.shown(paths.RESULTS)}/"
        f"\nFigures: {paths.shown(paths.FIGURES)}/ (in Finnish, Swedish and English)"
        f"\nPanel: {paths.shown(paths.PANEL)} ({said})"
    )


def _import(options):
    from kokeilu_analysis import run

    with run.Progress().step(f"checking {options.folder} and building the panel"):
        panel = run.import_snapshots(options.folder, options.allow_unlisted)
    print(f"{paths.shown(paths.PANEL)}: {len(panel):,} cells.")


def _fetch(options):
    from kokeilu_analysis import run

    asked = options.base, options.table, options.first, options.last, options.dry_run
    for line in run.fetch(run.Progress(), *asked):
        print(line)


def _build(options):
    from kokeilu_analysis import run

    print(run.build(options.allow_unlisted))


def _notebooks(options):
    from kokeilu_analysis import notebooks, run

    notebooks.run(run.Progress(steps=len(notebooks.found())), anew=options.anew)


def _export(options):
    from kokeilu_analysis import run, store

    kind = store.origin(paths.PANEL)
    progress = run.Progress(steps=1 if kind else 3)
    print(f"{len(run.export(progress))} files in {paths.shown(paths.FIGURES)}/")
    if kind:
        print("Memo, area pages and packs speak of open data; they are not made from a register.")
        return
    print(f"{len(run.documents(progress))} PDF files in {paths.shown(paths.REPORTS)}/")
    print(f"To hand on: {', '.join(map(paths.shown, run.packs(progress)))}")


def _trace(options):
    from kokeilu_analysis import trace
    from kokeilu_analysis.report import chains

    key = " ".join(options.key)
    for line in chains.lines(trace.chain(key)) if key else chains.listing(trace.known()):
        print(line)


def _explorer(options):
    from kokeilu_analysis import run

    for name in run.explorer(run.Progress(steps=1)):
        print(f"{paths.shown(paths.RESULTS)}/{name}.csv")


def _render(options):
    from kokeilu_analysis import run

    files = run.render(run.Progress(steps=2))
    print(f"{len(files)} files; open {paths.shown(paths.SITE)}/index.html")


def _simulate(options):
    from kokeilu_analysis import run

    for name in run.simulate(run.Progress(steps=2), options.draws, options.seed):
        print(f"{paths.shown(paths.RESULTS)}/{name}.csv")


def _from(least):
    """Read a whole number that is not below `least`."""

    def number(text):
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is below {least}")
        return int(text)

    return number


def _check(options):
    from kokeilu_analysis import run
    from kokeilu_analysis.sources import contracts, datapackage

    if options.describe:
        datapackage.describe(paths.RAW)
    report, wrong = run.check(), 0
    for name, said in report:
        if said[0] in (contracts.RIGHT, contracts.ABSENT):
            print(f"{name}: {said[0]}")
            continue
        wrong += 1
        print(*said[:SHOWN], sep="\n")
        if len(said) > SHOWN:
            print(f"{name}: {len(said) - SHOWN} more faults")
    if wrong:
        raise KokeiluError(f"{wrong} of {len(report)} files are not as described.")


def _registers_check(options):
    from kokeilu_analysis import run_registers

    print(f"{run_registers.check(options.source):,} spells, all right.")


def _registers_simulate(options):
    from kokeilu_analysis import run, run_registers

    progress = run.Progress()
    asked = options.folder, options.rows, options.seed, options.even
    count = run_registers.simulate(progress, *asked)
    print(f"{count:,} simulated spells in {paths.shown(options.folder)}/")


def _survey_template(options):
    from kokeilu_analysis import run

    print(f"{run.survey_template(options.file)}: send it out, then `kokeilu survey read FILE…`.")


def _survey_read(options):
    from kokeilu_analysis import run

    accepted, kept, problems = run.survey_read(options.files)
    for row in problems.itertuples():
        print(f"{row.file} {row.cell}: found {row.found}, expected {row.expected}. {row.advice}")
    print(f"{accepted} rows accepted, {kept} kept in all, {len(problems)} problems.")
    return 1 if len(problems) else 0


if __name__ == "__main__":
    sys.exit(main())
