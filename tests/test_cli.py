"""Claims about the command line: what it says, what it returns, and that it leaves no ruins."""

import re
import subprocess
import sys

import pandas as pd
import pytest
from snapshot_cases import NAMES, without_progress

from kokeilu_analysis import __version__, cli, paths, run, store
from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.sources import panel

COMMANDS = {  # command: what its help must name
    "study": "panel notebooks figures headline numbers",
    "import": "DIR snapshots StatFin 12r5 file row column --allow-unlisted",
    "fetch": "StatFin PxWeb 12r5 limits changed data/raw/statfin --base --from --to --dry-run",
    "build": "panel imported snapshots committed --allow-unlisted",
    "notebooks": "notebooks order",
    "export": "figures SVG PNG CSV memo PDF Finnish Swedish English kokeilu-fi.zip",
    "trace": "KEY figure number row notebook functions panel SHA-256 03_did.csv:6",
    "render": "site notebooks figures explorer",
    "explorer": "explorer_grid.csv explorer_levels.csv",
    "simulate": "simulation_inference.csv simulation_lag.csv --draws --seed",
    "check": "data/raw data/processed descriptions --describe",
}
HEAVY = (
    "pandas numpy matplotlib scipy statsmodels seaborn pyarrow openpyxl nbformat nbclient pyfixest"
    " httpx tenacity"
).split()


def answer(capsys, *arguments):
    """Run a command; return exit code, stdout and stderr."""
    try:
        code = cli.main(list(arguments))
    except SystemExit as stop:  # argparse leaves this way
        code = stop.code
    said = capsys.readouterr()
    return code, said.out, without_progress(said.err)


@pytest.fixture
def quick_build(monkeypatch):
    """Let an import build a small panel; the whole one has tests in test_panel.py."""
    whole = panel.build

    def build(snapshots, measures, municipalities, changes, first, last):
        span = pd.Timestamp("2022-03-01"), pd.Timestamp("2022-04-01")
        return whole(snapshots, measures, municipalities, changes, *span)

    monkeypatch.setattr(panel, "build", build)


# --- help ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_names_what_it_does(capsys, command):
    code, out, err = answer(capsys, command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: kokeilu {command}")
    text = " ".join(out.split())
    assert [word for word in COMMANDS[command].split() if word not in text] == []


def test_every_command_stands_in_the_overall_help_with_a_sentence_and_has_its_own(capsys):
    code, out, _ = answer(capsys, "--help")
    assert code == 0
    listed = re.findall(r"^    (\w+)\s+\S", out, flags=re.M)
    assert set(COMMANDS) <= set(listed)
    assert "kuntakokeilut" in out and "kokeilu study" in out
    for command in listed:
        code, said, _ = answer(capsys, command, "--help")
        assert code == 0 and said.startswith(f"usage: kokeilu {command}")


def test_version_is_the_packages(capsys):
    assert answer(capsys, "--version") == (0, f"kokeilu {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["import"],
        ["import", "a", "b"],
        ["build", "--fast"],
        ["fetch", "2022-03"],
        ["check", "--describ", "x"],
    ],
)
def test_a_command_that_is_not_understood_exits_2_with_usage(capsys, arguments):
    code, out, err = answer(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("usage: kokeilu") and "Traceback" not in err


def test_help_loads_none_of_the_slow_libraries():
    code = (
        "import sys\nfrom kokeilu_analysis import cli\n"
        "try:\n    cli.main(['--help'])\n"
        f"except SystemExit:\n    print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]" and "usage: kokeilu" in done.stdout


# --- failures ------------------------------------------------------------------------------------


def test_a_failure_is_one_sentence_on_stderr_and_exit_code_1(tmp_path):
    nowhere = tmp_path / "nowhere"
    done = subprocess.run(
        [sys.executable, "-m", "kokeilu_analysis.cli", "import", nowhere],
        capture_output=True,
        text=True,
        cwd=paths.ROOT,
    )
    assert (done.returncode, done.stdout) == (1, "")
    _, progress, sentence = done.stderr.splitlines()
    assert progress.endswith("stopped")
    assert sentence == (
        f"kokeilu: {nowhere}: found no such folder, expected a folder of StatFin 12r5 snapshots."
    )


@pytest.mark.parametrize(
    ("fault", "sentence", "code"),
    [
        (KokeiluError("It is so."), "It is so.", 1),
        (PermissionError(13, "Permission denied", "x.csv"), "Permission denied: x.csv.", 1),
        (OSError(28, "No space left on device"), "No space left on device.", 1),
        (OSError("gone"), "gone.", 1),
        (KeyboardInterrupt(), "stopped; files already written are whole.", 130),
    ],
)
def test_expected_faults_become_one_line_without_traceback(
    capsys, monkeypatch, fault, sentence, code
):
    def fail(*_):
        raise fault

    monkeypatch.setattr(run, "build", fail)
    assert answer(capsys, "build") == (code, "", f"kokeilu: {sentence}\n")


def test_a_defect_of_the_program_is_not_hidden(monkeypatch):
    monkeypatch.setattr(run, "build", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["build"])


# --- import and build ----------------------------------------------------------------------------


def test_an_import_says_where_the_panel_is_and_how_large(study, capsys, quick_build):
    code, out, err = answer(capsys, "import", str(study.delivered))
    assert (code, out, err) == (
        0,
        f"{study.processed}/panel.parquet: {309 * 2 * 23:,} cells.\n",
        "",
    )
    assert {p.name for p in study.snapshots.iterdir()} == set(NAMES.values())
    assert len(panel.load(folder=study.processed)) == 309 * 2 * 23
    before = study.outputs()
    assert answer(capsys, "import", str(study.snapshots))[0] == 0  # from where they lie now
    code, out, _ = answer(capsys, "build")
    assert code == 0 and out.startswith("panel built from ")
    assert study.outputs() == before


def test_snapshots_imported_as_unlisted_need_the_same_word_at_every_build(
    study, capsys, quick_build
):
    path = study.path("rate")
    path.write_bytes(path.read_bytes().replace(b"2022M06", b"2022M0X"))
    lines = [x for x in path.read_text().splitlines(keepends=True) if "2022M0X" not in x]
    path.write_text("".join(lines))  # another, sound table state: one month less
    assert "--allow-unlisted" in answer(capsys, "import", str(study.delivered))[2]
    assert answer(capsys, "import", str(study.delivered), "--allow-unlisted")[0] == 0
    before = study.outputs()
    code, _, err = answer(capsys, "build")
    assert code == 1 and "--allow-unlisted" in err
    assert answer(capsys, "build", "--allow-unlisted")[0] == 0
    assert study.outputs() == before


def test_an_import_that_cannot_write_leaves_the_earlier_panel(
    study, capsys, monkeypatch, quick_build
):
    def full(*_):
        raise OSError(28, "No space left on device", "panel.parquet")

    monkeypatch.setattr(store, "write_parquet", full)
    before = {p.name: p.read_bytes() for p in study.processed.iterdir()}
    code, out, err = answer(capsys, "import", str(study.delivered))
    assert (code, out, err) == (1, "", "kokeilu: No space left on device: panel.parquet.\n")
    assert {p.name: p.read_bytes() for p in study.processed.iterdir()} == before


def test_without_snapshots_a_build_checks_the_committed_panel(study, capsys):
    before = study.outputs()
    for _ in range(2):
        code, out, err = answer(capsys, "build")
        assert (code, err) == (0, "") and "the committed panel is used" in out
        study.snapshots.mkdir(exist_ok=True)  # an empty folder, or one with a file manager's mark
        (study.snapshots / ".DS_Store").write_bytes(b"")
    (study.snapshots / ".DS_Store").unlink()
    assert study.outputs() == before


def test_a_build_refuses_a_committed_panel_that_was_changed(study, capsys):
    path = study.processed / "panel.parquet"
    path.write_bytes(path.read_bytes() + b"\0")
    code, out, err = answer(capsys, "build")
    assert (code, out) == (1, "") and "panel.parquet: found checksum" in err


def test_a_build_from_some_of_the_snapshots_is_refused_and_the_panel_stays(study, capsys):
    study.snapshots.mkdir()
    (study.snapshots / NAMES["counts"]).write_bytes(study.path("counts").read_bytes())
    before = study.outputs()
    code, _, err = answer(capsys, "build")
    assert code == 1 and f"{NAMES['all']}: found no such file" in err
    assert study.outputs() == before


# --- check ---------------------------------------------------------------------------------------


def test_check_reports_every_described_file_and_says_right(study, capsys):
    code, out, err = answer(capsys, "check")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert f"{study.processed}/panel.parquet: right" in lines
    assert f"{study.raw}/trial_areas.csv: right" in lines
    assert f"{study.raw}/statfin/{NAMES['rate']}: not here (optional)" in lines
    assert all(line.endswith((": right", "(optional)")) for line in lines)


def test_check_names_what_is_wrong_counts_it_and_exits_1(study, capsys):
    path = study.raw / "trial_areas.csv"
    path.write_bytes(path.read_bytes().replace(b"Helsingfors", b"Helsinki", 1))
    study.snapshots.mkdir()
    (study.snapshots / NAMES["rate"]).write_bytes(b"alue\n")
    (study.processed / "panel.parquet").unlink()
    code, out, err = answer(capsys, "check")
    wrong = [x for x in out.splitlines() if not x.endswith((": right", "(optional)"))]
    assert code == 1 and len(wrong) == 3
    assert re.fullmatch(r"kokeilu: 3 of \d+ files are not as described\.\n", err)
    assert "trial_areas.csv: found checksum" in out and "panel.parquet: found no file" in out


def test_a_meant_change_is_described_on_request(study, capsys):
    path = study.raw / "timeline.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]), encoding="utf-8")
    assert answer(capsys, "check")[0] == 1
    assert answer(capsys, "check", "--describe")[0] == 0
    assert answer(capsys, "check")[0] == 0


def test_the_committed_folders_are_as_described(capsys):
    code, out, _ = answer(capsys, "check")
    assert code == 0, out
