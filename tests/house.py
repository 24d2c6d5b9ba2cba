"""The house as CONTRIBUTING.md shows it: groups of modules and who uses whom, read off the imports.

    .venv/bin/python tests/house.py        draws it anew in CONTRIBUTING.md

`GROUPS` is the only place that says which module belongs where; the arrows come from the code.
"""

import ast
import json
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from kokeilu_analysis import paths

PACKAGE = paths.PACKAGE.name
CONTRIBUTING = paths.ROOT / "CONTRIBUTING.md"
RENEW = ".venv/bin/python tests/house.py"
BEGIN, END = f"<!-- the house: drawn by {RENEW} -->", "<!-- end of the house -->"
BASE = "ground"  # what everything may use; its arrows would only hide the others

# group → (floor, what it is for, its modules: names or patterns without the package's own name)
GROUPS = {
    "commands": ("top", "the command line", "cli"),
    "steps": ("top", "the steps in their order; notebooks run", "run run_* notebooks"),
    "the story": ("story", "six notebooks; they define no function", "[0-9]*"),
    "trace": ("top", "where a printed number comes from", "trace trace.*"),
    "release": ("top", "protects, audits and lets out a register panel", "release"),
    "documents": (
        "report",
        "memo, area pages, pack as PDF",
        "report.memo* report.area_* report.typeset report.pack",
    ),
    "site": (
        "report",
        "the pages of the site",
        "report.site report.site_* report.notebook_pages report.explorer report.figure_tables",
    ),
    "export": ("report", "figures as files", "report.export"),
    "sentences": (
        "report",
        "which sentence the numbers allow",
        "report.wording report.headline report.chains",
    ),
    "figures": (
        "report",
        "marks, numbers in words, one style",
        "report.figures report.drawings report.drawings.* report.marks report.style report.numbers",
    ),
    "gate": ("report", "what must not be shown is found", "report.disclosure"),
    "many choices": (
        "methods",
        "checks, outcomes, curves, the explorer's grid",
        "methods.variants methods.specifications methods.outcomes methods.explorer_*",
    ),
    "simulation": (
        "methods",
        "panels with a known truth; does the study find it",
        "methods.simulate* methods.blueprints methods.resample methods.recovery*",
    ),
    "comparison": (
        "methods",
        "trial against control",
        "methods.compare methods.adjusted methods.synthetic methods.donors methods.fixed_effects "
        "methods.areas",
    ),
    "starting lag": (
        "methods",
        "effects once the backlog is counted",
        "methods.lag methods.lag_* methods.line_* methods.restrictions methods.exposure "
        "methods.measurement",
    ),
    "backlog": (
        "methods",
        "what the statements imply",
        "methods.backlog methods.statements methods.constraints methods.conflicts methods.order "
        "methods.clearing methods.replies",
    ),
    "inference": (
        "methods",
        "uncertainty",
        "methods.inference methods.bootstrap methods.permutation methods.multiple "
        "methods.sensitivity methods.intervals methods.clusters",
    ),
    "suppression": (
        "methods",
        "small cells hidden, and the attack on it",
        "methods.suppression methods.complementary methods.crowded methods.linked_*",
    ),
    "frames": (
        "methods",
        "frames in, the one schema out; programmes",
        "methods.frames methods.estimates methods.describe methods.program",
    ),
    "design": ("methods", "study.toml, checked", "methods.design"),
    "interface": (
        "sources",
        "StatFin asked, answers kept",
        "sources.pxweb sources.answers sources.fetch sources.fetched",
    ),
    "facts": ("sources", "who, when, and what was said of the backlog", "sources.facts"),
    "registers": ("sources", "spells of persons become counts", "sources.register*"),
    "returns": ("sources", "the form to municipalities, and what came back", "sources.survey*"),
    "statistics": (
        "sources",
        "snapshots and states become one panel",
        "sources.statfin sources.jsonstat sources.panel sources.revisions",
    ),
    "tables": (
        "sources",
        "files read by their description and contract",
        "sources.datapackage sources.contracts",
    ),
    BASE: (
        "base",
        "paths, files, errors, result tables, workers",
        "__init__ errors paths store results made workers",
    ),
}
BACK = {}  # imports against the flow, all inside a function, with their reason
FLOORS = {  # in the order of reading; `base` is in the table alone
    "story": "notebooks",
    "top": "what brings them together",
    "report": "report",
    "methods": "methods",
    "sources": "sources",
}


@cache
def imports(code, module=""):
    """Dotted names that code imports, wherever in it; relative ones are resolved from `module`."""
    parts, found = module.split("."), []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: len(parts) - node.level]) if node.level else ""
            name = ".".join(filter(None, [base, node.module]))
            found += [f"{name}.{alias.name}" for alias in node.names]
    return found


@cache
def code():
    """Name → code of every module and notebook; a package's own file has the package's name.

    Files that hold nothing but a docstring are left out: they use nothing and nobody uses them.
    """
    found = {}
    for path in sorted(paths.PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(paths.PACKAGE).with_suffix("").parts)
        text = path.read_text(encoding="utf-8")
        if len(ast.parse(text).body) > 1:
            found[name.removesuffix(".__init__")] = text
    for path in sorted(paths.NOTEBOOKS.glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        lines = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
        plain = [line for line in lines.splitlines() if not line.startswith(("%", "!"))]
        found[path.stem] = "\n".join(plain)
    return found


def homes(name):
    """Groups that take a module: one, if the table is right."""
    return [
        group
        for group, (_, _, patterns) in GROUPS.items()
        if any(fnmatch(name, pattern) for pattern in patterns.split())
    ]


def members():
    """Group → its modules; a module without a home, or with two, is left to the tests."""
    found = {group: [] for group in GROUPS}
    for name in code():
        for group in homes(name):
            found[group].append(name)
    return found


def used(name, text, known):
    """Modules of the package that a module imports."""
    for target in imports(text, f"{PACKAGE}.{name}"):
        target = target.removeprefix(f"{PACKAGE}.") if target.startswith(f"{PACKAGE}.") else ""
        while target and target not in known:
            target = target.rpartition(".")[0]
        if target and target != name:
            yield target


def arrows():
    """Group → the groups that it uses."""
    known = set(code())
    found = {group: set() for group in GROUPS}
    for name, text in code().items():
        for target in used(name, text, known):
            for group in homes(name):
                if (name, target) not in BACK:
                    found[group] |= set(homes(target)) - {group}
    return found


def reached(graph, start):
    """Groups that are reached from a group by one arrow or more."""
    seen, queue = set(), list(graph[start])
    while queue:
        group = queue.pop()
        if group not in seen:
            seen.add(group)
            queue += graph[group]
    return seen


def circles(graph):
    """Groups from which arrows lead back to themselves; none, if all arrows run one way."""
    return [group for group in graph if group in reached(graph, group)]


def essential(graph):
    """The arrows that no longer way tells as well."""
    return {
        group: {
            other
            for other in others
            if not any(other in reached(graph, way) for way in others if way != other)
        }
        for group, others in graph.items()
    }


def drawing():
    """The house as Markdown: a picture for the eye, the same as a table for everyone."""
    graph, inside = arrows(), members()
    plain = {group: others - {BASE} for group, others in graph.items()}
    ids = {group: group.replace(" ", "_") for group in GROUPS}
    lines = ["```mermaid", "flowchart TD"]
    for floor, title in FLOORS.items():
        lines.append(f'  subgraph floor_{floor}["{title}"]')
        lines += [f'    {ids[g]}["{g}"]' for g, (own, *_) in GROUPS.items() if own == floor]
        lines.append("  end")
    for group, others in essential(plain).items():
        lines += [f"  {ids[group]} --> {ids[other]}" for other in GROUPS if other in others]
    lines += ["```", "", "| group | for | modules | uses |", "| --- | --- | --- | --- |"]
    for group, (_, purpose, _) in GROUPS.items():
        names = ", ".join(f"`{name}`" for name in short(inside[group]))
        uses = ", ".join(other for other in GROUPS if other in graph[group]) or "–"
        lines.append(f"| {group} | {purpose} | {names} | {uses} |")
    for (name, target), why in BACK.items():
        lines += ["", f"Against the flow, inside a function: `{name}` uses `{target}` ({why})."]
    return "\n".join(lines)


def short(names):
    """Module names with the floor told once: ``methods.lag``, ``lag_line``."""
    found, before = [], ""
    for name in names:
        floor, _, last = name.rpartition(".")
        found.append(last if floor and floor == before else name)
        before = floor
    return found


def shown(text=None):
    """The house as CONTRIBUTING.md has it; empty if its marks are gone."""
    text = CONTRIBUTING.read_text(encoding="utf-8") if text is None else text
    return text.partition(BEGIN)[2].partition(END)[0].strip()


def renew(path: Path = CONTRIBUTING):
    """Draw the house anew in CONTRIBUTING.md."""
    text = path.read_text(encoding="utf-8")
    before, mark, rest = text.partition(BEGIN)
    _, last, after = rest.partition(END)
    if not (mark and last):
        raise SystemExit(f"{path.name} has lost the lines {BEGIN!r} and {END!r}; put them back.")
    path.write_text(f"{before}{BEGIN}\n\n{drawing()}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    renew()
