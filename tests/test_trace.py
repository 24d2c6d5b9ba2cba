"""Every printed figure and number leads to a row, a cell, functions, the panel and its sources."""

import ast
import json
import re
import string
from functools import cache

import numpy as np
import pandas as pd
import pytest

from kokeilu_analysis import cli, paths, results, store, trace
from kokeilu_analysis.errors import DataError, KokeiluError
from kokeilu_analysis.report import area_pages, chains, figures, headline, memo, numbers
from kokeilu_analysis.sources import datapackage
from kokeilu_analysis.trace import printed, slices, writers

FIGURES = list(figures.register())
SOURCES = list(printed.sources())
RAW = {f"data/raw/{e['path']}": e for e in datapackage.load(paths.RAW)["resources"]}


def cell_source(written):
    """Source of the notebook cell, or of the module, that writes a table."""
    path = paths.ROOT / written.file
    if path.suffix == ".py":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    (found,) = (c for c in cells if c["id"] == written.cell)
    return "".join(found["source"])


def templates(tree):
    """Every text of a tree of texts."""
    if isinstance(tree, str):
        yield tree
    else:
        for below in tree.values() if isinstance(tree, dict) else tree:
            yield from templates(below)


def places(text):
    """Names that a template puts numbers in the place of, ends of ranges included."""
    for _, name, form, _ in string.Formatter().parse(text):
        if name:
            yield name
            if ".." in form:
                yield form.split("..")[1]


def assert_whole(chain):
    """A chain has no missing link and every link is there."""
    assert chain.steps and chain.sources
    for step in chain.steps:
        assert (paths.ROOT / step.file).is_file() and step.lines[0] >= 2
        name = paths.ROOT.joinpath(step.file).stem
        assert f'results.write("{name}"' in cell_source(step.written) or step.written.cell == (
            "explorer"
        )
        assert step.written.functions
        for function in step.written.functions:
            assert_stands(function)
        assert step.written.facts or step.written.reads or step.written.measures
    for source in chain.sources:
        assert re.fullmatch(r"[0-9a-f]{64}", source.sha256), source
        path = paths.ROOT / source.file
        if path.is_file():
            assert store.sha256(path) == source.sha256
        else:  # a snapshot, which is never committed
            assert RAW[source.file]["hash"] == f"sha256:{source.sha256}"
            assert source.date == RAW[source.file]["vintage"]
    measures = {m for step in chain.steps for m in step.written.measures}
    dated = [source for source in chain.sources if source.date]
    assert bool(dated) == bool(measures)


def assert_stands(function):
    """The function's name stands at the line that is named, or its body does."""
    spans = functions(function.file)[function.name.rpartition(".")[2]]
    assert any(first <= function.line <= last for first, last in spans), function


@cache
def functions(file):
    """First and last lines of the functions and classes of a file, by name."""
    found = {}
    for node in ast.walk(ast.parse((paths.ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            first = node.lineno - len(node.decorator_list)
            found.setdefault(node.name, []).append((first, node.end_lineno))
    return found


@cache
def cells(table):
    """A result table as it is written, every cell as text."""
    return pd.read_csv(paths.RESULTS / f"{table}.csv", dtype=str)


@pytest.mark.parametrize("figure_id", FIGURES)
def test_every_figure_has_a_whole_chain_with_all_its_tables(figure_id):
    chain = trace.chain(figure_id)
    assert_whole(chain)
    traced = [step.file.rpartition("/")[2] for step in chain.steps]
    assert {f"{table}.csv" for table in figures.tables(figure_id)} <= set(traced)
    assert {number.key for number in chain.numbers} == set(printed.values(figure_id))
    own = {step.written.file for step in chain.steps}
    assert f"notebooks/{figures.register()[figure_id]['notebook']}.ipynb" in own


@pytest.mark.parametrize("source", SOURCES)
def test_every_number_stands_in_the_row_that_is_traced_or_says_what_it_is_made_from(source):
    for key, value in printed.values(source).items():
        found = printed.find(key)
        if found.cell is None:
            assert_stands(found.made)
            continue
        text = cells(found.cell.table).iloc[found.cell.line - 2][found.cell.column]
        if isinstance(value, pd.Timestamp):
            assert f"{value:%YM%m}" in text, key
        else:
            near = [np.isclose(value, k * float(text), rtol=1e-11) for k in (1, 100, 0.1)]
            assert any(near) or (value % 10 == 0 and abs(value - float(text)) <= 5), key


@pytest.mark.parametrize("source", SOURCES)
def test_a_number_made_from_several_cells_changes_with_no_other_table_than_those_named(
    source, tmp_path
):
    made = [n for n in map(printed.find, printed.values(source)) if n.cell is None]
    for named in {n.tables for n in made}:
        changed = printed.sources()[source](Changed(tmp_path / "-".join(named), keep=named))
        for number in made:
            if number.tables == named:
                assert changed[number.key] == number.value, (number.key, named)


class Changed:
    """Result tables whose numbers all differ from the study's, but for those kept."""

    def __init__(self, home, keep):
        self.home, self.keep = home, keep

    def __truediv__(self, file):
        name = file.removesuffix(".csv")
        if name in self.keep:
            return paths.RESULTS / file
        frame = results.read(name)
        for column in frame.select_dtypes("number"):
            frame[column] = frame[column] * 3 + 7
        return store.write_csv(self.home / file, frame)


def test_a_number_traced_to_a_cell_changes_with_that_cell(tmp_path):
    for key in ("estimate", "f8_zero_low", "f7_slope_high", "n_trial", "kk07_plans_high"):
        found = printed.find(key)
        frame = results.read(found.cell.table)
        frame.loc[found.cell.line - 2, found.cell.column] *= 2
        other = OneTable(found.cell.table, store.write_csv(tmp_path / f"{key}.csv", frame))
        assert printed.sources()[printed.source_of(key)](other)[key] == pytest.approx(
            2 * found.value, rel=0.01
        )


class OneTable:
    """The study's result tables with another one in the place of one."""

    def __init__(self, name, path):
        self.name, self.path = name, path

    def __truediv__(self, file):
        return self.path if file == f"{self.name}.csv" else paths.RESULTS / file


@pytest.mark.parametrize("lang", numbers.LANGUAGES)
def test_every_number_that_memo_headline_and_figures_print_has_a_key(lang):
    words = [*templates(memo.texts(lang)), *headline.SENTENCES]
    named = {name for text in words for name in places(text)}
    # counted out by the memo's own register, or words that the numbers chose
    said = {"n", "n_shown", "weighting", "said", "settled", "ask_effect", "ask_country", "left_out"}
    said |= {"f1_largest_control"}
    assert {name for name in named - said if printed.source_of(name) is None} == set()
    for figure_id in FIGURES:
        keys = set(printed.values(figure_id)) | {"weighting", "verdict", "first_fi", "first_sv"}
        keys |= {f"{figure_id.lower()}_{name}" for name in ("weighting", "largest_control")}
        keys |= {f"{figure_id.lower()}_{name}" for name in ("first_fi", "first_sv")}
        own = {k: v for k, v in figures.texts(lang)[figure_id].items() if k != "labels"}
        for name in {name for text in templates(own) for name in places(text)}:
            key = f"{figure_id.lower()}_{name}"
            assert key in keys or printed.source_of(name) == "memo", (figure_id, name)


def test_every_number_that_the_area_pages_print_has_a_key():
    words = area_pages.texts("en")
    named = {name for text in templates(words) for name in places(text)}
    said = {"name", "short_name", "municipalities", "bilingual", "comparison", "label"}
    said |= {"first", "last"}  # the ends of each period, under their own names below
    for name in named - said:
        assert printed.source_of(f"kk05_{name}") or printed.source_of(f"areas_{name}"), name
    assert printed.source_of("kk05_first_year_first") and printed.source_of("kk25_base_last")


def test_only_few_numbers_come_from_no_table():
    loose = [
        number.key
        for source in SOURCES
        for number in map(printed.find, printed.values(source))
        if not number.tables
    ]
    assert loose == ["f1_named_from"]  # from how many inhabitants the map names a place


@pytest.mark.parametrize("table", sorted(p.stem for p in paths.RESULTS.glob("*.csv")))
def test_every_result_table_has_a_writer_and_a_whole_chain(table):
    chain = trace.chain(table)
    assert chain.steps[0].file.endswith(f"/{table}.csv")
    if table != "explorer_levels":  # a list of shares, made from no data
        assert_whole(chain)


def test_a_chain_goes_on_through_tables_that_were_read():
    files = [step.file.rpartition("/")[2] for step in trace.chain("04_adjusted:4").steps]
    assert files[0] == "04_adjusted.csv" and {"03_did.csv", "02_area_bounds.csv"} <= set(files)


def test_a_slice_takes_what_a_table_needs_and_nothing_else():
    found = writers.by_table()["03_did"]
    names = [function.name for function in found.functions]
    assert "methods.compare.two_by_twos" in names and "methods.describe.group_means" not in names
    assert found.measures == ("unemployed", "labour_force")
    assert writers.by_table()["03_layoffs"].measures == ("unemployed", "labour_force", "laid_off")
    assert "long_term_unemployed" in writers.by_table()["05_honest"].measures
    assert "long_term_unemployed" not in writers.by_table()["05_robustness"].measures


@pytest.mark.parametrize(
    ("code", "wanted", "needed"),
    [
        ("a = 1; a = 2; b = a", {"b"}, ["a = 2", "b = a"]),
        ("a = f(); a['x'] = c; a = g(a)", {"a"}, ["a = f()", "a['x'] = c", "a = g(a)"]),
        ("c = 1; a = [c for c in d]", {"a"}, ["a = [c for c in d]"]),
        ("a = f(); a.insert(b); d = a", {"d"}, ["a = f()", "a.insert(b)", "d = a"]),
        ("a = 0; a += b; c = 2", {"a"}, ["a = 0", "a += b"]),
    ],
)
def test_statements_behind_a_name(code, wanted, needed):
    lines = [slices.Statement(node) for node in ast.parse(code).body]
    assert [ast.unparse(line.node) for line in slices.behind(lines, wanted)] == needed


def test_a_table_whose_name_is_computed_is_an_error_that_says_so():
    lines = [slices.Statement(node) for node in ast.parse("results.write(f'{a}', b)").body]
    with pytest.raises(KokeiluError, match="only if it stands in the call; found f'{a}'"):
        writers._written(lines, paths.NOTEBOOKS / "x.ipynb", {"results": results})


# --- names and words --------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["F3", "f3", "3", "figure 3", "Fig. 3"])
def test_a_figure_is_found_by_any_way_of_writing_its_number(key):
    assert trace.chain(key).key == "F3"


@pytest.mark.parametrize("key", ["03_did:6", "03_did.csv:6", "data/processed/results/03_did.csv:6"])
def test_a_row_is_found_by_file_and_line(key):
    step = trace.chain(key).steps[0]
    assert step.lines == (6,) and len(step.spans) == 2


@pytest.mark.parametrize(
    ("key", "close"),
    [("estimat", "estimate"), ("F33", "F3"), ("kk05_backlog", "kk05_backlog_low"), ("", "lists")],
)
def test_an_unknown_key_is_an_error_that_names_what_is_close(key, close):
    with pytest.raises(KokeiluError, match=rf"called '{key}'.*\b{close}\b"):
        trace.chain(key)


@pytest.mark.parametrize("line", [0, 1, 8, 99])
def test_a_line_without_numbers_is_an_error(line):
    with pytest.raises(DataError, match=rf"03_did.csv: found no line {line} .* 2 to 7"):
        trace.chain(f"03_did:{line}")


def test_the_command_prints_the_chain_and_without_a_key_what_can_be_traced(capsys):
    assert cli.main(["trace", "estimate"]) == 0
    said = capsys.readouterr().out
    for link in ("03_did.csv, line 6, column estimate", "cell 03-07", "compare.py:", "unemployed"):
        assert link in said
    assert re.search(r"tyonv_12r5_areas.*5 December 2023, SHA-256 [0-9a-f]{64}", said)
    assert cli.main(["trace"]) == 0
    said = capsys.readouterr().out
    assert all(f"  {i}" in said for i in FIGURES)
    assert {"estimate", "f8_zero_low", "kk25_backlog_low", "03_did"} <= set(said.split())
    assert cli.main(["trace", "nonsense"]) == 1
    assert "kokeilu: Nothing printed" in capsys.readouterr().err


@pytest.mark.parametrize("figure_id", FIGURES)
def test_the_three_languages_tell_the_same_chain(figure_id):
    chain = trace.chain(figure_id)
    told = {lang: "\n".join(chains.lines(chain, lang)) for lang in numbers.LANGUAGES}
    link = re.compile(r"[\w/]+\.(?:csv|ipynb|py:\d+)|[0-9a-f]{64}")
    links = [sorted(link.findall(text)) for text in told.values()]
    assert links[0] == links[1] == links[2]
    for lang in ("fi", "sv"):
        assert not re.search(r"\b(the|from|line|made|written|of)\b", told[lang])
        assert not re.search(r"(?<![\w.])\d+\.\d+(?!\.\d{4})\b(?!\w)", told[lang])


def test_a_state_that_was_imported_without_description_is_named_as_such(monkeypatch):
    states = trace._states()
    moved = states.assign(vintage=states["vintage"].replace("2023-12-05", "2031-01-31"))
    monkeypatch.setattr(trace, "_states", lambda: moved)
    trace.chain.cache_clear()
    try:
        said = "\n".join(chains.lines(trace.chain("estimate")))
    finally:
        trace.chain.cache_clear()
    assert "table state of 31 January 2031: imported without a description" in said
