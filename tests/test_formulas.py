"""Formulas, docs/methods.md: every known answer evaluated; functions, letters and tests found."""

import ast
import importlib
import inspect
import re

import numpy as np
import pandas as pd
import pytest

from kokeilu_analysis import paths
from kokeilu_analysis.methods import design

FORMULAS = (paths.ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
PARTS = ("Function", "Letters", "Known answer", "Test", "Source")


def sections():
    """Formula → its parts: function, letters, known answer, test, source."""
    found = {}
    for own in FORMULAS.split("\n### ")[1:]:
        title, _, text = own.partition("\n")
        found[title] = dict(re.findall(r"(?m)^- \*\*(.+?):\*\* (.+)$", text))
    return found


SECTIONS = sections()
EVERY = pytest.mark.parametrize("title", SECTIONS)


def quoted(title, part):
    return re.findall(r"`([^`]+)`", SECTIONS[title].get(part, ""))


def homes_of(title):
    """The modules that a formula's functions stand in."""
    return [
        importlib.import_module(f"kokeilu_analysis.methods.{name.partition('.')[0]}")
        for name in quoted(title, "Function")
    ]


@pytest.fixture(scope="module")
def examples():
    """What the known answers may use: every module of methods, and the examples of the file."""
    folder = paths.PACKAGE / "methods"
    stems = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    wanted = [stem for stem in stems if f"{stem}." in FORMULAS]
    space = {stem: importlib.import_module(f"kokeilu_analysis.methods.{stem}") for stem in wanted}
    space |= {"np": np, "pd": pd}
    exec(re.search(r"```python\n(.*?)```", FORMULAS, re.S)[1], space)
    return space


def rounding(value):
    """Half a unit of the last digit that is written; four digits at least."""
    digits = [len(d) for d in re.findall(r"\d\.(\d+)", value)]
    return 0.51 * 10.0 ** -max([4, *digits])


@EVERY
def test_a_formula_has_all_its_parts(title):
    assert set(PARTS) <= set(SECTIONS[title]) <= {*PARTS, "Published answer"}


@EVERY
def test_the_functions_of_a_formula_exist_and_are_documented(title):
    for module, name in zip(homes_of(title), quoted(title, "Function"), strict=True):
        assert inspect.getdoc(getattr(module, name.partition(".")[2])), name


@EVERY
def test_the_letters_of_a_formula_are_those_of_the_code(title):
    words = {w for m in homes_of(title) for w in re.findall(r"\w+", inspect.getsource(m))}
    assert quoted(title, "Letters") and set(quoted(title, "Letters")) <= words


@EVERY
def test_known_answers_are_what_the_code_gives(title, examples):
    answers = re.findall(r"`([^`]+)` → `([^`]+)`", SECTIONS[title]["Known answer"])
    assert answers
    for call, value in answers:
        found, expected = eval(call, examples), eval(value, examples)
        assert np.shape(found) == np.shape(expected), call
        apart = np.abs(np.subtract(found, expected, dtype=float))
        assert apart.max() <= rounding(value), f"{call} gives {found}"


def node(place):
    """The source of a test named ``file::function``, its decorators included."""
    file, _, name = place.partition("::")
    text = (paths.ROOT / "tests" / file).read_text(encoding="utf-8")
    for found in ast.parse(text).body:
        if isinstance(found, ast.FunctionDef) and found.name == name:
            first = min([found.lineno, *(d.lineno for d in found.decorator_list)])
            return "\n".join(text.splitlines()[first - 1 : found.end_lineno])
    raise AssertionError(f"there is no test {place}")


@EVERY
def test_the_tests_of_a_formula_exist_and_hold_its_published_answer(title):
    assert quoted(title, "Test")
    for place in quoted(title, "Test"):
        assert node(place)
    published = re.findall(r"`([^`]+)` in `([^`]+)`", SECTIONS[title].get("Published answer", ""))
    assert bool(published) == ("Published answer" in SECTIONS[title])
    for value, place in published:
        written = (n.value for n in ast.walk(ast.parse(node(place))) if isinstance(n, ast.Constant))
        decimals = len(value.partition(".")[2])
        sizes = {round(n, decimals) for n in written if isinstance(n, float)}
        assert abs(float(value)) in sizes, place


def test_every_estimator_that_a_check_may_name_has_its_formula():
    told = {name for title in SECTIONS for name in quoted(title, "Function")}
    for estimator in design.ESTIMATORS:
        assert any(name.endswith(f".{estimator}") for name in told), estimator
