"""What those who carry on are told is true: the house, every recipe as written, the words."""

import io
import re
import shutil
import sys
import tomllib
import types

import documents
import house
import pandas as pd
import pytest
import test_repository

from kokeilu_analysis import paths, results
from kokeilu_analysis.errors import DataError
from kokeilu_analysis.methods import compare, design, outcomes, variants
from kokeilu_analysis.methods.backlog import FeasibleSet
from kokeilu_analysis.report import drawings, figures, memo, numbers, site, wording
from kokeilu_analysis.sources import datapackage, facts
from kokeilu_analysis.sources import panel as panels

GUIDE = house.CONTRIBUTING.read_text(encoding="utf-8")
TEXTS = paths.PACKAGE / "report" / "texts"
NAMES = ("municipality", "month", "is_trial")
LANGUAGES = numbers.LANGUAGES


# The house.


def test_the_house_is_drawn_as_the_imports_are():
    assert house.shown() == house.drawing(), f"CONTRIBUTING.md is out of date: {house.RENEW}"


def test_every_module_lives_in_exactly_one_group():
    lost = [name for name in house.code() if not house.homes(name)]
    assert not lost, f"new and in no group of tests/house.py: {', '.join(lost)}"
    torn = {name: homes for name in house.code() if len(homes := house.homes(name)) > 1}
    assert not torn, f"in more than one group of tests/house.py: {torn}"
    empty = [group for group, names in house.members().items() if not names]
    assert not empty, f"groups of tests/house.py without a module: {', '.join(empty)}"


def test_no_circle_leads_from_a_group_back_to_itself():
    assert house.circles(house.arrows()) == []


def test_imports_against_the_flow_are_still_there_and_wait_inside_a_function():
    known = set(house.code())
    for name, target in house.BACK:
        code = house.code()[name]
        assert target in house.used(name, code, known), f"{name}: take it out of house.BACK"
        top = "\n".join(line for line in code.splitlines() if not line.startswith(" "))
        assert target.rpartition(".")[2] not in re.findall(r"import (.+)", top)


def test_arrows_left_out_are_told_by_a_longer_way():
    graph = house.arrows()
    drawn = house.essential(graph)
    for group in graph:
        assert house.reached(drawn, group) == house.reached(graph, group)
    assert sum(map(len, drawn.values())) < sum(map(len, graph.values()))


def test_the_house_would_notice_a_stranger_a_circle_and_a_new_arrow(monkeypatch):
    assert house.homes("methods.never_heard_of") == []
    assert house.circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    more = house.code() | {"methods.frames": "from kokeilu_analysis.methods import backlog"}
    monkeypatch.setattr(house, "code", lambda: more)
    assert house.shown() != house.drawing() and "frames" in house.circles(house.arrows())


# Recipes: the blocks of CONTRIBUTING.md, followed in a copy.


def recipe(title):
    """Blocks of a recipe as (file, text), in order."""
    own = GUIDE.partition(f"\n### {title}\n")[2].partition("\n### ")[0].partition("\n## ")[0]
    return [(file, text) for file, text in re.findall(r"```\w+ (\S+)\n(.*?)```", own, re.S)]


def block(title, file):
    """The one block of a recipe for a file."""
    (text,) = (text for name, text in recipe(title) if name == file)
    return text


def inserted(text, added):
    """TOML with more lines: below a table that is there already, otherwise at the end."""
    for part in re.split(r"(?m)^(?=\[)", added):
        head, _, lines = part.partition("\n")
        if head and not head.startswith("[[") and f"\n{head}\n" in text:
            text = text.replace(f"\n{head}\n", f"\n{head}\n{lines.rstrip()}\n", 1)
        else:
            text += f"\n{part}" if part else ""
    return text


def edited(code, changes):
    """Code with the lines of a diff changed; each hunk must fit in exactly one place."""
    for hunk in changes.split("@@\n"):
        old, new = (
            "".join(line[1:] + "\n" for line in hunk.splitlines() if line[0] in marks)
            for marks in (" -", " +")
        )
        assert code.count(old) == 1, f"the recipe no longer fits the code: {old!r}"
        code = code.replace(old, new)
    return code


def executed(code, name, monkeypatch):
    """A module made of code, under a name of its own."""
    module = types.ModuleType(name)
    module.__file__ = str(paths.PACKAGE / "report" / "copy.py")
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(code, name, "exec"), module.__dict__)
    return module


def changed(title, file, monkeypatch):
    """The module of a file with a recipe's edit."""
    code = edited((paths.PACKAGE / file).read_text(encoding="utf-8"), block(title, file))
    return executed(code, f"edited_{file.replace('/', '_')[:-3]}", monkeypatch)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A copy of words and figures that a recipe may change; the package reads it."""
    shutil.copytree(TEXTS, tmp_path / "texts")
    shutil.copy(TEXTS.parent / "figures.toml", tmp_path)
    monkeypatch.setattr(figures, "__file__", str(tmp_path / "figures.py"))
    for cached in (figures.register, figures.texts):
        cached.cache_clear()
    yield tmp_path
    for cached in (figures.register, figures.texts):
        cached.cache_clear()


def follow(desk, title):
    """Write a recipe's TOML blocks of `report` into the copy."""
    for file, text in recipe(title):
        if file.startswith("report/") and file.endswith(".toml"):
            copy = desk / file.removeprefix("report/")
            copy.write_text(inserted(copy.read_text("utf-8"), text), encoding="utf-8")


def study(desk, title, load=design.load):
    """The study's choices with a recipe's entry."""
    copy = desk / "study.toml"
    text = inserted(paths.STUDY.read_text("utf-8"), block(title, "study.toml"))
    copy.write_text(text, encoding="utf-8")
    return load(copy)


@pytest.fixture(scope="module")
def places():
    """Who is treated, with what the checks of the study ask of a municipality."""
    treated = facts.treatment().query("group != 'outside'")
    return treated.merge(results.read("03_places"), on="municipality")


@pytest.fixture(scope="module")
def rates(places):
    plan = design.load()
    cells = panels.load(["unemployed", "labour_force"])
    force = panels.labour_force(cells, plan.labour_force_year)
    return panels.rates(cells, plan.outcome, force).merge(places, on="municipality")


def with_row(folder, name, row):
    """Result tables in a folder, one of them with one more row."""
    shutil.copytree(paths.RESULTS, folder)
    table = pd.concat([results.read(name), row], ignore_index=True)
    results.write(name, table, folder)
    return folder


def assert_labelled(desk, title, figure_id, key, folder):
    """A recipe's label is there in three languages, and the figure shows it (seen in Finnish)."""
    follow(desk, title)
    figures.texts.cache_clear()
    labels = [figures.texts(lang)[figure_id]["labels"]["rows"][key] for lang in LANGUAGES]
    assert len(set(labels)) == len(LANGUAGES)
    figure, _, _ = figures.draw(figure_id, LANGUAGES[0], folder)
    shown = [t.get_text() for axes in figure.axes for t in axes.get_yticklabels()]
    assert any(labels[0] in text for text in shown)


def test_an_outcome_is_one_entry_and_one_label_in_each_language(desk, places):
    title = "Add an outcome"
    plan = study(desk, title)
    added = plan.outcomes[-1]
    assert len(plan.outcomes) == len(design.load().outcomes) + 1
    cells = panels.load([*added.plus, *added.minus, "labour_force"])
    force = panels.labour_force(cells, plan.labour_force_year)
    values = panels.combine(cells, added.name, added.plus, added.minus)
    frame = panels.rates(values, added.name, force).merge(places, on="municipality")
    window = plan.windows["baseline"]
    row = outcomes.table([(added, frame)], *NAMES, window, plan.cluster, weights=plan.weights)
    # whole = young + middle + old, so the bounds hold what the published rows leave
    known = results.read("03_outcomes").set_index("spec")
    left = known.loc["unemployed/first_year", "estimate"]
    parts = known.loc[["under_25/first_year", "over_50/first_year"]]
    parts = parts[["bound_low", "bound_high"]].sum()
    assert row.loc[0, "bound_low"] == pytest.approx(left - parts["bound_high"], abs=1e-9)
    assert row.loc[0, "bound_high"] == pytest.approx(left - parts["bound_low"], abs=1e-9)
    assert added.name not in figures.texts("en")["F13"]["labels"]["rows"]
    folder = with_row(desk / "results", "03_outcomes", row)
    assert_labelled(desk, title, "F13", added.name, folder)


def test_a_robustness_check_is_one_entry_and_one_label_in_each_language(desk, rates):
    title = "Add a robustness check"
    plan = study(desk, title)
    added = plan.robustness[-1]
    row = variants.run(rates, "value", *NAMES, [added], plan.cluster)
    kept = rates.query(added.keep)
    kept = kept[kept["month"].isin(added.baseline.months.union(added.post.months))]
    names = ("value", *NAMES, added.post.first, plan.weights, plan.cluster)
    direct = compare.did(kept, *names).loc[0, "estimate"]
    assert row.loc[0, "estimate"] == direct and len(kept) < len(rates)
    folder = with_row(desk / "results", "05_robustness", row)
    assert_labelled(desk, title, "F9", added.spec, folder)


def test_a_statement_of_evidence_is_one_row_and_narrows_the_bounds(desk):
    raw = desk / "raw"
    shutil.copytree(paths.RAW, raw, ignore=shutil.ignore_patterns("statfin"))
    register = raw / "backlog_evidence.csv"
    row = block("Add a statement of evidence", "data/raw/backlog_evidence.csv")
    register.write_text(register.read_text("utf-8") + row, encoding="utf-8")
    with pytest.raises(DataError, match="backlog_evidence"):
        facts.evidence(folder=raw)  # not what was described: the next step of the recipe
    datapackage.describe(raw, "backlog_evidence")
    areas = facts.treatment().query("is_trial == 1")["area_id"].unique()
    said = pd.read_csv(io.StringIO(row), header=None).iloc[0]
    others = pd.Series(1.0, areas).drop(said[5])
    own, rest = [], []
    for folder in (paths.RAW, raw):
        groups = facts.area_groups(folder)
        feasible = FeasibleSet.from_evidence(facts.evidence(folder=folder), areas, groups=groups)
        own.append(feasible.bounds({said[5]: 1.0}))
        rest.append(feasible.bounds(others))
    assert own[1] == pytest.approx((said[7], said[8]))
    assert own[0][0] < said[7] and own[0][1] > said[8]
    assert rest[1][0] >= rest[0][0] - 1e-9 and rest[1][1] <= rest[0][1] + 1e-9


def test_a_figure_is_an_entry_words_in_three_languages_and_two_functions(desk, monkeypatch):
    title = "Add a figure"
    follow(desk, title)
    ((figure_id, entry),) = tomllib.loads(block(title, "report/figures.toml")).items()
    assert figure_id not in tomllib.loads((TEXTS.parent / "figures.toml").read_text("utf-8"))
    home = sys.modules["kokeilu_analysis.report.drawings.limits"]
    space = dict(vars(home))
    exec(block(title, "report/drawings/limits.py"), space)
    for kind in ("values", "draw"):
        name = f"{kind}_{figure_id.lower()}"
        monkeypatch.setattr(drawings, name, space[name], raising=False)
    assert (paths.NOTEBOOKS / f"{entry['notebook']}.ipynb").exists()
    table = results.read(entry["tables"][0])
    for lang in LANGUAGES:
        said = figures.said(figure_id, lang)
        assert len(said.headline.split(" ")) <= 12 and len(said.alt) <= 250
    figure, drawn, said = figures.draw(figure_id, lang)
    assert drawn.equals(table)
    picture = figures.image(figure, "svg", said).decode("utf-8")
    assert said.alt in picture and f">{numbers.number(0.5, 1, lang)}<" in picture
    with pytest.raises(KeyError):
        figures.words(figure_id, "en", {})  # a sentence cannot be said without its numbers


def lacking(folder, lang, like):
    """Texts that a language lacks, or has too many of, beside another one."""
    found = []
    for path in sorted(folder.glob("*.toml")):
        name, _, code = path.stem.rpartition("_")
        if code != like:
            continue
        own = path.with_name(path.name.replace(f"{like}.toml", f"{lang}.toml"))
        keys = [
            documents.keys(tomllib.loads(p.read_text("utf-8"))) if p.exists() else set()
            for p in (path, own)
        ]
        found += [f"{own.name}: {key}" for key in sorted(keys[0] ^ keys[1])]
    return found


def test_a_language_is_a_set_of_texts_and_three_names(desk, monkeypatch):
    title, code = "Add a language", "se"
    folder = desk / "texts"
    for path in folder.glob("*fi.toml"):
        shutil.copy(path, path.with_name(path.name.replace("fi.toml", f"{code}.toml")))
    assert lacking(folder, code, "fi") == []
    fresh = {file: changed(title, file, monkeypatch) for file, _ in recipe(title)}
    monkeypatch.setattr(numbers, "LANGUAGES", fresh["report/numbers.py"].LANGUAGES)
    monkeypatch.setattr(site, "LANGUAGES", fresh["report/site.py"].LANGUAGES)
    monkeypatch.setattr(wording, "listed", fresh["report/wording.py"].listed)
    assert code in numbers.LANGUAGES and code in dict(site.LANGUAGES)
    for figure_id in figures.register():
        assert figures.said(figure_id, code).alt == figures.said(figure_id, "fi").alt
    assert figures.draw("F5", code)[2].lang == code
    assert memo.answer(code) == memo.answer("fi")
    assert wording.study(code)["ask_effect"].count(" ja ") == 1
    spoiled = folder / f"memo_{code}.toml"
    spoiled.write_text(re.sub(r"(?m)^running = .*\n", "", spoiled.read_text("utf-8")), "utf-8")
    assert lacking(folder, code, "fi") == [f"memo_{code}.toml: running."]


def test_an_estimator_is_a_function_of_the_schema_with_a_name_and_a_branch(
    desk, rates, monkeypatch
):
    title = "Add an estimator"
    new = "kokeilu_analysis.methods.winsorised"
    module = executed(block(title, "methods/winsorised.py"), new, monkeypatch)
    monkeypatch.setattr(sys.modules["kokeilu_analysis.methods"], "winsorised", module, False)
    checked = changed(title, "methods/design.py", monkeypatch)
    run = changed(title, "methods/variants.py", monkeypatch).run
    plan = study(desk, title, checked.load)
    added = plan.robustness[-1]
    assert added.estimator == "winsorised"
    row = run(rates, "value", *NAMES, [added], plan.cluster)
    assert list(row) == list(compare.estimates.COLUMNS)
    assert row.loc[0, "ci_low"] < row.loc[0, "estimate"] < row.loc[0, "ci_high"]
    uncut = checked.Variant(**vars(added) | {"options": {"share": 0.0}})
    main = results.read("03_did").query("is_main").iloc[0]
    whole = run(rates, "value", *NAMES, [uncut], plan.cluster).loc[0, "estimate"]
    assert whole == pytest.approx(main["estimate"], abs=1e-9)
    assert row.loc[0, "estimate"] != pytest.approx(whole, abs=1e-3)
    with pytest.raises(DataError, match="winsorised"):
        design.load(desk / "study.toml")  # the house as it is does not know it


def test_a_dependency_that_is_not_locked_or_has_no_reason_is_refused(monkeypatch):
    text = GUIDE.partition("### Change a dependency")[2].partition("\n## ")[0]
    for name in re.findall(r"[\w.]+\.(?:toml|lock)", text):
        assert (paths.ROOT / name).exists()
    project = test_repository.PYPROJECT["project"]
    more = [*project["dependencies"], "not-there-yet>=1"]
    monkeypatch.setitem(project, "dependencies", more)
    with pytest.raises(AssertionError):
        test_repository.test_every_declared_dependency_is_locked_with_hashes()
    with pytest.raises(StopIteration):
        test_repository.test_every_dependency_says_why()


def test_every_recipe_with_a_block_is_followed_here():
    titles = re.findall(r"(?m)^### (.+)$", GUIDE)
    with_blocks = [title for title in titles if recipe(title)]
    own = (paths.ROOT / "tests" / "test_documentation.py").read_text(encoding="utf-8")
    assert len(with_blocks) >= 6
    for title in with_blocks:
        assert f'"{title}"' in own, title


# Words: docs/glossary.md.


GLOSSARY = (paths.ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
ENDINGS = {"fi": 3, "sv": 2, "en": 1}  # letters that grammar may change at the end of a word
FEWER = {"fi": 2, "sv": 0, "en": 0}  # where another word would be met by mistake


def rows(text, head):
    """Rows of the Markdown table under a head."""
    own = text.partition(f"| {head} |\n")[2].partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in own]


def leaves(tree):
    """Every text of a tree of texts."""
    if isinstance(tree, str):
        return [tree]
    below = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else []
    return [text for part in below for text in leaves(part)]


@pytest.fixture(scope="module")
def said():
    """Language → all its texts, in small letters."""
    found = dict.fromkeys(LANGUAGES, "")
    for path in sorted(TEXTS.glob("*.toml")):
        words = leaves(tomllib.loads(path.read_text(encoding="utf-8")))
        found[path.stem.rpartition("_")[2]] += "\n".join(words).lower()
    return found


TERMS = rows(GLOSSARY, "fi | sv | en | meaning")
NOT = rows(GLOSSARY, "language | not | but")


def uses(term, lang, endings=ENDINGS):
    """A pattern for a term in any of its forms."""
    words = [w[: max(min(len(w), 4), len(w) - endings[lang])] for w in term.lower().split(" ")]
    return r"(?<!\w)" + r"\s".join(re.escape(word) + r"[\w-]*" for word in words)


def finnish(word):
    """Sort as Finnish does: å, ä and ö come last, hyphens do not count."""
    return word.casefold().replace("-", "").translate({229: "{", 228: "|", 246: "}"})


def test_every_term_has_three_languages_and_a_meaning_and_stands_once_in_order():
    assert len(TERMS) >= 40
    assert all(len(row) == 4 and all(row) for row in TERMS)
    for column in range(3):
        terms = [row[column].casefold() for row in TERMS]
        assert len(set(terms)) == len(terms)
    finnish_terms = [row[0] for row in TERMS]
    assert finnish_terms == sorted(finnish_terms, key=finnish)


@pytest.mark.parametrize("row", TERMS, ids=lambda row: row[0])
def test_every_term_is_used_in_the_texts_of_its_language(row, said):
    for lang, term in zip(LANGUAGES, row, strict=False):
        assert re.search(uses(term, lang), said[lang]), (lang, term)


@pytest.mark.parametrize("row", NOT, ids=lambda row: row[1])
def test_no_text_has_a_second_name_for_an_official_term(row, said):
    lang, wrong, right = row
    assert right in {terms[LANGUAGES.index(lang)] for terms in TERMS}
    assert not re.search(uses(wrong, lang, FEWER), said[lang]), f"say {right}"


def test_a_second_name_would_be_found_in_any_form():
    assert re.search(uses("suunnitteluvelka", "fi", FEWER), "suunnitteluvelan suuruus")
    assert re.search(uses("työtön työnhakija", "fi"), "työttömät työnhakijat")
    assert not re.search(uses("arbetssökare", "sv", FEWER), "arbetssökande")
