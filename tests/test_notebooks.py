"""What nbval cannot see: order, completeness, alt text, nothing of the machine in an output."""

import ast
import os
import re
import subprocess
import sys

import nbformat
import numpy as np
import pytest

from kokeilu_analysis import notebooks, paths

BOOKS = {path.stem: nbformat.read(path, as_version=4) for path in notebooks.found()}
EXPECTED = [
    "01_data",
    "02_backlog",
    "03_trial_vs_control",
    "04_starting_lag",
    "05_limits",
    "06_committee",
]


def code(book):
    return [c for c in book.cells if c.cell_type == "code"]


def outputs(book):
    return [o for c in code(book) for o in c.outputs]


def test_the_runner_runs_the_six_notebooks_in_order():
    assert list(BOOKS) == EXPECTED


@pytest.mark.parametrize("name", BOOKS)
class TestNotebook:
    def test_was_executed_from_top_to_bottom(self, name):
        counts = [c.execution_count for c in code(BOOKS[name])]
        assert counts == list(range(1, len(counts) + 1))

    def test_shows_no_error_and_no_stderr(self, name):
        for output in outputs(BOOKS[name]):
            assert output.output_type != "error"
            assert output.get("name") != "stderr"

    def test_holds_no_time_path_widget_or_host(self, name):
        text = (paths.NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8")
        book = BOOKS[name]
        assert not any("execution" in c.metadata for c in book.cells)
        assert "widgets" not in book.metadata and "version" not in book.metadata.language_info
        assert not re.search(r"[\"' (]/(?:root|home|tmp|work|Users)/\w|[A-Z]:\\\\", text)
        assert not re.search(r"0x[0-9a-f]{8,}", text)

    def test_is_thin(self, name):
        cells = code(BOOKS[name])
        lines = sum(len(c.source.splitlines()) for c in cells)
        assert len(cells) <= 25 and lines <= 250
        for cell in cells:
            assert not cell.source.rstrip().endswith(";")
            tree = ast.parse(cell.source)
            kinds = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
            assert not any(isinstance(node, kinds) for node in ast.walk(tree))

    def test_opens_with_question_data_answer_and_limits(self, name):
        book = BOOKS[name]
        first = book.cells[0].source
        assert first.startswith("# ") and "**Question.**" in first and "**Data.**" in first
        shown = [
            o.data.get("text/markdown", "")
            for c in code(book)[:6]
            for o in c.outputs
            if "data" in o
        ]
        assert any("**Short answer.**" in text for text in shown)
        prose = [c.source for c in book.cells[:8] if c.cell_type == "markdown"]
        assert any("**What cannot be concluded.**" in text for text in prose)

    def test_pictures_have_alt_text(self, name):
        for output in outputs(BOOKS[name]):
            if "image/png" in output.get("data", {}):
                alt = output.metadata["image/png"]["alt"]
                assert 40 < len(alt) <= 250

    def test_marks_headline_cells_for_comparison(self, name):
        if name == "06_committee":
            return  # shows words and pictures that other tests compare
        tags = [t for c in code(BOOKS[name]) for t in c.metadata.get("tags", [])]
        assert "nbval-check-output" in tags

    def test_is_small(self, name):
        assert (paths.NOTEBOOKS / f"{name}.ipynb").stat().st_size < 1_000_000

    def test_reads_no_result_of_a_later_notebook(self, name):
        number = int(name[:2])
        for cell in code(BOOKS[name]):
            for other in re.findall(r"results\.read\(\"(\d\d)_", cell.source):
                assert int(other) < number or f'results.write("{other}_' in cell.source

    def test_writes_only_its_own_results(self, name):
        for cell in code(BOOKS[name]):
            for other in re.findall(r"results\.write\(\"(\d\d)_", cell.source):
                assert other == name[:2]


def test_counts_in_prose_are_those_of_the_results():
    from kokeilu_analysis import results

    sizes = results.read("01_groups").set_index("group")
    areas = sizes["areas"]
    right = {
        r"(\d+) trial and \d+ control municipalities": sizes.loc["trial", "municipalities"],
        r"\d+ trial and (\d+) control municipalities": sizes.loc["control", "municipalities"],
        r"(\d+) trial areas": areas["trial"],
        r"(\d+) control sub-regions": areas["control"],
        r"of the (\d+) areas treated": areas.sum(),
        r"the (\d+) municipalities of Act": sizes.loc["trial", "municipalities"],
    }
    prose = " ".join(c.source for b in BOOKS.values() for c in b.cells if c.cell_type == "markdown")
    for pattern, expected in right.items():
        found = re.findall(pattern, prose)
        assert found and set(map(int, found)) == {expected}, pattern


def test_a_notebook_waits_for_those_whose_results_it_reads():
    needed = {path.stem[:2]: notebooks.reads(path) for path in notebooks.found()}
    assert needed["01"] == set()
    assert {"02", "03"} <= needed["04"] and "03" in needed["05"]
    assert needed["06"] == {"01", "02", "03", "04", "05"}
    for number, earlier in needed.items():
        assert all(other < number for other in earlier)


def test_each_result_table_is_written_once_by_a_notebook_or_by_a_command_of_its_own():
    written = [
        table
        for book in BOOKS.values()
        for cell in code(book)
        for table in re.findall(r"results\.write\(\"(\w+)\"", cell.source)
    ]
    assert len(written) == len(set(written))  # a run stopped between two would leave the first
    apart = {"simulation_inference", "simulation_lag", "explorer_grid", "explorer_levels"}
    assert set(written) | apart == {p.stem for p in paths.RESULTS.glob("*.csv")}


def test_notebooks_compute_alike_on_newer_processors(monkeypatch):
    env = notebooks.arithmetic()
    code = "import numpy; print(numpy.show_config(mode='dicts')['SIMD Extensions'])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr  # NumPy refuses names that it does not know
    for found, said in [
        ({"found": ["X86_V3", "X86_V4", "AVX512_ICL"]}, "X86_V4 AVX512_ICL"),
        ({"found": ["SSE42", "AVX2", "AVX512F"]}, "AVX512F"),
        ({"found": ["X86_V3"]}, None),
    ]:
        monkeypatch.setattr(np, "show_config", lambda mode, f=found: {"SIMD Extensions": f})
        assert notebooks.arithmetic().get("NPY_DISABLE_CPU_FEATURES") == said
        assert notebooks.arithmetic()["OPENBLAS_CORETYPE"] == "Haswell"
    monkeypatch.setattr(np, "show_config", lambda mode: {"SIMD Extensions": {"found": ["NEON"]}})
    assert notebooks.arithmetic() == {}
