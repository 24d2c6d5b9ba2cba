"""The repository keeps its promises: files named exist, lists agree, arrows run one way."""

import ast
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from kokeilu_analysis import paths
from kokeilu_analysis.report import figures, headline

PACKAGE = paths.ROOT / "kokeilu_analysis"
MODULES = sorted(PACKAGE.rglob("*.py"))
README = (paths.ROOT / "README.md").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((paths.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (paths.ROOT / "requirements.lock").read_text(encoding="utf-8")


def tracked():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=paths.ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [paths.ROOT / line for line in listed.stdout.splitlines()]


def project_names(entries):
    return {re.split(r"[<>=!~ \[;]", e)[0].lower().replace("_", "-") for e in entries}


def test_every_path_in_the_readme_exists():
    linked = re.findall(r"\]\(((?!http)[^)#]+)\)", README)
    named = re.findall(r"`((?:data|docs|notebooks|kokeilu_analysis|tests)/[\w./-]*)`", README)
    assert len(linked) >= 8
    for path in linked + named:
        assert (paths.ROOT / path).exists(), path


def test_readme_fits_two_screens():
    assert len(README.splitlines()) <= 75


def test_readme_quotes_the_answer_of_the_result_tables():
    for sentence in headline.headline():
        assert sentence in README


def test_readme_figure_has_the_alt_text_of_the_register():
    assert f"![{figures.said('F4', 'en').alt}](docs/figures/F4_en.png)" in README


def test_readme_notebook_table_equals_the_folder():
    listed = re.findall(r"\(notebooks/(\w+)\.ipynb\)", README)
    assert listed == sorted(p.stem for p in paths.NOTEBOOKS.glob("*.ipynb"))


def test_every_declared_dependency_is_locked_with_hashes():
    locked = set(re.findall(r"^([a-z0-9._-]+)==", LOCK, flags=re.M))
    declared = project_names(
        PYPROJECT["project"]["dependencies"] + PYPROJECT["dependency-groups"]["dev"]
    )
    assert {name.replace("-", "") for name in declared} <= {
        name.replace("-", "").replace("_", "") for name in locked
    }
    assert LOCK.count("--hash=sha256:") > len(locked)


def test_lock_names_no_registry():
    assert not re.search(r"https?://|index-url", LOCK)


def test_every_dependency_says_why():
    text = (paths.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    text = text[text.index("[project]") :]
    for name in PYPROJECT["project"]["dependencies"] + PYPROJECT["dependency-groups"]["dev"]:
        line = next(row for row in text.splitlines() if f'"{name}"' in row)
        assert re.search(r"#\s*\w.{10,}", line), line


def test_environment_file_installs_the_same_lock_and_names_the_core_packages():
    text = (paths.ROOT / "environment.yml").read_text(encoding="utf-8")
    pip = next(e for e in yaml.safe_load(text)["dependencies"] if isinstance(e, dict))["pip"]
    assert pip == ["-r requirements.lock"]
    declared = project_names(
        PYPROJECT["project"]["dependencies"] + PYPROJECT["dependency-groups"]["dev"]
    )
    for core in ("jupyterlab", "pandas", "matplotlib", "seaborn", "statsmodels", "nbval"):
        assert core in text and core in declared


def test_python_is_a_range_and_the_same_in_both_files():
    assert PYPROJECT["project"]["requires-python"] == ">=3.11"
    assert "python>=3.11" in (paths.ROOT / "environment.yml").read_text(encoding="utf-8")


def test_citation_has_the_version_of_the_package():
    citation = yaml.safe_load((paths.ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PYPROJECT["project"]["version"]


def imports(module):
    """Dotted names of this package that a module imports, relative ones resolved."""
    parts = module.relative_to(paths.ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: len(parts) - node.level]) if node.level else ""
            name = ".".join(filter(None, [base, node.module]))
            yield from (f"{name}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(
    ("part", "forbidden"),
    [
        ("sources", ("methods", "report", "run", "cli", "results")),
        ("methods", ("sources", "report", "run", "cli", "results", "store")),
        ("report", ("sources", "methods", "run", "cli")),
    ],
)
def test_arrows_run_one_way(part, forbidden):
    for module in (PACKAGE / part).rglob("*.py"):
        for name in imports(module):
            for other in forbidden:
                assert not f"{name}.".startswith(f"kokeilu_analysis.{other}."), (module.name, name)


def test_no_module_is_a_catch_all_or_holds_too_much():
    for module in MODULES:
        assert "util" not in module.stem and "helper" not in module.stem
        assert len(module.read_text(encoding="utf-8").splitlines()) <= 500, module.name


def test_public_functions_have_docstrings():
    for module in MODULES:
        tree = ast.parse(module.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{module.name}: {node.name}"


def test_slow_libraries_are_imported_where_they_are_used():
    slow = {"statsmodels", "seaborn", "pyfixest", "openpyxl", "matplotlib", "scipy", "nbclient"}
    slow |= {"httpx", "tenacity", "ibis", "duckdb", "pandera"}
    for module in MODULES:
        for node in ast.parse(module.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                names = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = {node.module.split(".")[0]}
            else:
                continue
            assert not names & slow, module.name


def test_no_snapshot_is_tracked_and_files_are_small():
    files = [p for p in tracked() if p.exists()]
    described = json.loads((paths.RAW / "datapackage.json").read_text(encoding="utf-8"))
    snapshots = {
        Path(e["path"]).name for e in described["resources"] if not e.get("committed", True)
    }
    assert snapshots and not snapshots & {p.name for p in files}
    assert sum(p.stat().st_size for p in files) < 15e6
    assert max(p.stat().st_size for p in files) < 3e6


def test_no_absolute_path_stands_in_a_tracked_file():
    pattern = re.compile(rb"[\"' (]/(?:root|home|tmp|work|Users)/\w")
    for path in tracked():
        if path.exists() and path.suffix not in {".png", ".parquet"} and "tests" not in path.parts:
            assert not pattern.search(path.read_bytes()), path
