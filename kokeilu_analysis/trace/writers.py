"""Which cell writes a result table and what the code behind it calls, read off the code itself.

Nothing is typed here twice: the call ``results.write("name", frame)`` is looked for in the
notebooks and the package, and the statements that `frame` depends on are followed upwards.
"""

import ast
import builtins
import importlib
import inspect
import json
import re
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from kokeilu_analysis import paths, results
from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import design
from kokeilu_analysis.sources import datapackage, panel
from kokeilu_analysis.trace.slices import Statement, behind, dotted, flat, walk

PACKAGE = __package__.partition(".")[0]
MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)  # commands of the notebook, no Python


@dataclass(frozen=True)
class Function:
    """A function of the package: its dotted name without the package, file and line."""

    name: str
    file: str
    line: int


@dataclass(frozen=True)
class Written:
    """What stands behind a result table.

    ``file`` and ``cell``: the notebook and the id of its cell, or a module and its function;
    ``functions``: of `methods` and `sources`, the nearest last; ``measures``: of the panel, in the
    order of ``measures.csv``; ``facts``: files of ``data/raw`` and the study's choices;
    ``reads``: earlier result tables.
    """

    table: str
    file: str
    cell: str
    functions: tuple
    measures: tuple
    facts: tuple
    reads: tuple


@cache
def by_table():
    """Return what stands behind every result table: name → `Written`.

    Where a table is written twice the later cell counts.

    Examples
    --------
    >>> by_table()["03_did"].cell
    '03-07'
    """
    found = {}
    for path in sorted(paths.NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        nodes = [
            (node, cell["id"])
            for cell in cells
            if cell["cell_type"] == "code"
            for node in flat(ast.parse(MAGIC.sub("", "".join(cell["source"]))).body)
        ]
        names = _names(node for node, _ in nodes)
        found |= _written([Statement(*pair, names) for pair in nodes], path, names)
    for path in sorted((paths.ROOT / PACKAGE).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "results.write(" not in text or path == Path(__file__):
            continue
        module = importlib.import_module(
            ".".join(path.relative_to(paths.ROOT).with_suffix("").parts)
        )
        for target in vars(module).values():
            if inspect.isfunction(target) and target.__module__ == module.__name__:
                code = _body(target)
                found |= _written(code.lines, path, code.names)
    return found


def _names(nodes):
    """What the import statements of this package bind: name → module, function or constant."""
    found = {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == PACKAGE:
            for alias in node.names:
                home = importlib.import_module(node.module)
                if not hasattr(home, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
                found[alias.asname or alias.name] = getattr(home, alias.name)
    return found


def _written(lines, path, names):
    found = {}
    for at, line in enumerate(lines):
        for call in _calls(line.node, names):
            if call.is_a(results.write):
                table, frame = call.node.args[:2]
                table = _text(table, names)
                last = Statement(ast.Expr(frame), line.cell)
                reader, code = _Reader(), _Code(lines[:at], names)
                for part in (*behind(code.lines, last.uses), last):
                    reader.read(part.node, code)
                found[table] = reader.written(table, paths.shown(path), line.cell)
    return found


@dataclass(frozen=True)
class _Call:
    node: ast.Call
    target: object  # what is called, None where it is not of this package
    home: object  # the class it is called on, if it is one

    def is_a(self, function):
        return self.target is function


def _calls(node, names):
    for call in walk(node):
        if isinstance(call, ast.Call):
            root, *attributes = dotted(call.func)
            home, target = None, names.get(root)
            for attribute in attributes:
                home, target = target, getattr(target, attribute, None)
            own = getattr(target, "__module__", None) or ""
            if callable(target) and own.partition(".")[0] == PACKAGE:
                yield _Call(call, target, home if inspect.isclass(home) else None)
            else:
                yield _Call(call, None, None)


@dataclass(frozen=True)
class _Code:
    """Statements that run one after another, and what their imports and module name."""

    lines: list
    names: dict

    def calls(self, node):
        return _calls(node, self.names)

    def value(self, node):
        """Return what an expression of choices is (``plan.outcome``), by running what it needs.

        None where that is more than reading the study's choices, or the variable of a loop.
        """
        parts = [part.node for part in behind(self.lines, Statement(ast.Expr(node)).uses)]
        space = dict(self.names)
        called = {call.target for part in (*parts, node) for call in self.calls(part)}
        if called - {None, design.load}:
            return None
        tree = ast.Module([*parts, ast.Assign([ast.Name("told here", ast.Store())], node)], [])
        try:
            exec(compile(ast.fix_missing_locations(tree), "<slice>", "exec"), space)
        except NameError:
            return None
        return space["told here"]


class _Reader:
    """Gathers what a slice of code calls, reads and mentions."""

    def __init__(self):
        self.functions, self.facts, self.reads, self.classes = {}, {}, {}, []
        self.mentioned, self.loaded, self.open = set(), set(), False

    def written(self, table, file, cell):
        measures = self.loaded if self.open or not self.mentioned else self.mentioned
        return Written(
            table,
            file,
            cell,
            tuple(self.functions),
            tuple(m for m in _measures() if m in measures and self.loaded),
            tuple(self.facts),
            tuple(self.reads),
        )

    def read(self, node, code):
        self.mentioned |= {
            n.value for n in walk(node) if isinstance(n, ast.Constant) and n.value in _measures()
        }
        for call in code.calls(node):
            target = call.target
            if target is None:
                self.method(call.node)
            elif target is results.read:
                self.reads[_text(call.node.args[0], code.names)] = None
            elif target.__module__.startswith((f"{PACKAGE}.sources", f"{PACKAGE}.methods")):
                self.called(target, call.home)
                self.source(call.node, target, code)
            elif target.__module__ == f"{PACKAGE}.run" and inspect.isfunction(target):
                inner = _body(target)
                for line in inner.lines:
                    self.read(line.node, inner)

    def method(self, node):
        """Note a method of one of the package's own classes, told by its name."""
        name = dotted(node.func)[-1]
        for kind in self.classes:
            if inspect.isfunction(vars(kind).get(name)):
                self.called(vars(kind)[name])

    def called(self, target, home=None):
        kind = home or (target if inspect.isclass(target) else None)
        if kind is not None and kind not in self.classes:
            self.classes.append(kind)
        for default in _defaults(target):
            self.facts[paths.shown(default)] = None
        self.functions.pop(function(target), None)  # the one called last stands nearest
        self.functions[function(target)] = None

    def source(self, node, target, code):
        """Note the files that a function of `sources` reads, and the measures it is asked for."""
        for name in _resources(target):
            self.facts[paths.shown(paths.RAW / name)] = None
        if target is panel.load:
            asked = code.value(node.args[0]) if node.args else None
            self.loaded |= set(_measures() if asked is None else asked)
        elif target.__module__ == panel.__name__:
            if target.__name__ in _measures():  # panel.labour_force reads the labour force
                self.mentioned.add(target.__name__)
            given = inspect.signature(target).bind_partial(*node.args).arguments
            for name in {"measure", "plus", "minus"} & set(given):
                told = code.value(given[name])
                self.open |= told is None
                self.mentioned |= {told} & set(_measures()) if isinstance(told, str) else set()


@cache
def _measures():
    # the names only: `facts.measures` checks the table as well, which takes a second
    return tuple(pd.read_csv(paths.RAW / "measures.csv", usecols=["measure"])["measure"])


def _body(target):
    """Return the code of a function of the package."""
    nodes = list(flat(ast.parse(inspect.getsource(target)).body[0].body))
    names = vars(inspect.getmodule(target)) | _names(nodes)
    return _Code([Statement(node, target.__name__, names) for node in nodes], names)


def _text(node, names):
    """Return the name of a result table as a call gives it."""
    text = node.value if isinstance(node, ast.Constant) else names.get(getattr(node, "id", None))
    if not isinstance(text, str):
        raise KokeiluError(
            f"The name of a result table is found only if it stands in the call; found "
            f"{ast.unparse(node)} instead of text or a constant of the package."
        )
    return text


@cache
def function(target):
    """Return where a function or class of the package stands."""
    plain = inspect.unwrap(getattr(target, "__func__", target))
    module = plain.__module__.removeprefix(f"{PACKAGE}.")
    file = paths.shown(inspect.getsourcefile(plain))
    line = inspect.getsourcelines(plain)[1]
    return Function(f"{module}.{plain.__qualname__}", file, line)


def _defaults(target):
    """Files that a function reads if not told otherwise: defaults of its parameters."""
    if not inspect.isroutine(target):
        return []
    given = (p.default for p in inspect.signature(target).parameters.values())
    return [d for d in given if isinstance(d, Path) and d.is_file()]


@cache
def _resources(target):
    """Files of ``data/raw`` that a function of `sources` reads, itself or through its module."""
    if not target.__module__.startswith(f"{PACKAGE}.sources") or not inspect.isfunction(target):
        return ()
    known = {
        text: entry["path"]
        for entry in datapackage.load(paths.RAW)["resources"]
        for text in (entry["name"], entry["path"])
    }
    space, found, queue, seen = vars(inspect.getmodule(target)), {}, [target], set()
    while queue:
        one = queue.pop()
        seen.add(one)
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(one)))):
            value = node.value if isinstance(node, ast.Constant) else None
            if isinstance(node, ast.Name) and not hasattr(builtins, node.id):
                value = space.get(node.id)
            if isinstance(value, str) and value in known:
                found[known[value]] = None
            elif inspect.isfunction(value) and value.__module__ == one.__module__:
                queue += [value] if value not in seen else []
    return tuple(found)
