"""Where in the code of `report` a printed number is made, and from which result tables."""

import ast
import inspect
import re
from dataclasses import dataclass
from functools import cache

from kokeilu_analysis import paths
from kokeilu_analysis.report import area_pages, drawings, figures, marks, wording
from kokeilu_analysis.trace.slices import Statement, behind, flat
from kokeilu_analysis.trace.writers import Function, function


@dataclass(frozen=True)
class Made:
    """How a number is made: the function at the line of its key, and from what.

    ``tables``: those that the code before it names; none of them: a choice written in the code;
    None: the key does not stand in the code. ``keys``: other numbers that it is made from.
    """

    function: Function
    tables: frozenset | None
    keys: frozenset = frozenset()


@cache
def find(name, source):
    """Return how a number is made.

    Parameters
    ----------
    name : str
        As the code knows it, without figure or area.
    source : str
        A figure id, ``"memo"`` or ``"areas"``.

    Returns
    -------
    Made

    Examples
    --------
    >>> find("n_below", "memo").tables
    frozenset({'05_robustness'})
    """
    makers = _makers(source)
    for maker in makers:
        for at, line in enumerate(maker.lines):
            for label, part, others in _entries(line.node):
                if label is not None and re.fullmatch(label, name):
                    if others:
                        return Made(maker.place(part), frozenset(), frozenset(others))
                    return Made(maker.place(part), frozenset(maker.tables(at, part, makers)))
    return Made(function(makers[0].target), None)


@cache
def _makers(source):
    """Functions in which the keys of a source may stand, the main one first."""
    if source not in ("memo", "areas"):
        targets = [getattr(drawings, f"values_{source.lower()}")]
    else:
        main = wording.study if source == "memo" else area_pages.area_values
        others = vars(inspect.getmodule(main)).values()
        own = [f for f in others if inspect.isfunction(f) and f.__module__ == main.__module__]
        targets = [main, *(f for f in own if f is not main), figures.group_sizes]
    return [_Maker(target) for target in (*targets, marks.effect_values)]


def _entries(node):
    """Yield what dicts and assignments by key in a statement bind.

    Each is the key as a pattern, the expression, and other keys of the same dict that it uses.
    """
    for part in ast.walk(node):
        if isinstance(part, ast.Dict):
            for label, value in zip(part.keys, part.values, strict=True):
                yield _pattern(label), value, set()
        target = part.targets[0] if isinstance(part, ast.Assign) else None
        if isinstance(target, ast.Subscript):
            home = ast.unparse(target.value)
            others = {
                n.slice.value
                for n in ast.walk(part.value)
                if isinstance(n, ast.Subscript)
                and isinstance(n.slice, ast.Constant)
                and ast.unparse(n.value) == home
            }
            yield _pattern(target.slice), part.value, others


def _pattern(label):
    if isinstance(label, ast.Constant) and isinstance(label.value, str):
        return re.escape(label.value)
    if isinstance(label, ast.JoinedStr):  # f"{name}_first"
        parts = (getattr(part, "value", None) for part in label.values)
        return "".join(re.escape(p) if isinstance(p, str) else ".+" for p in parts)
    return None


class _Tables(ast.NodeTransformer):
    """Puts the name of a result table in the place of ``read["03_did"]``."""

    def __init__(self):
        self.known = {path.stem for path in paths.RESULTS.glob("*.csv")}

    def visit_Subscript(self, node):  # noqa: N802
        if isinstance(node.slice, ast.Constant) and node.slice.value in self.known:
            return ast.copy_location(node.slice, node)
        return self.generic_visit(node)


class _Maker:
    """A function that makes numbers: its statements and the tables behind them."""

    def __init__(self, target):
        text, self.start = inspect.getsourcelines(target)
        tree, node = _Tables(), ast.parse("".join(text)).body[0]
        self.known, self.target, self.space = tree.known, target, vars(inspect.getmodule(target))
        self.parameters = [a.arg for a in node.args.args]
        self.lines = [Statement(n) for n in flat(tree.visit(node).body)]

    def place(self, node):
        stands = function(self.target)
        return Function(stands.name, stands.file, self.start + node.lineno - 1)

    def tables(self, at, node, makers):
        """Return the tables behind an expression of a statement, followed into the callers."""
        last = Statement(ast.Expr(node))
        parts = [*behind(self.lines[:at], last.uses), last]
        found = self.named([part.node for part in parts])
        bound = set().union(*(part.binds for part in parts))
        given = set().union(*(part.uses for part in parts)) - bound
        for maker in makers:
            for place, call in maker.calls(self.target.__name__):
                for name, argument in zip(self.parameters, call.args, strict=False):
                    if name in given:
                        found |= maker.tables(place, argument, makers)
        return found

    def calls(self, name):
        """Yield the calls of a function by its plain name, and the statements they stand in."""
        for at, line in enumerate(self.lines):
            for node in ast.walk(line.node):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
                    yield at, node

    def named(self, nodes):
        """Return the tables that code names, itself or in the functions of `report` it calls."""
        found, queue, seen = set(), list(nodes), set()
        while queue:
            for part in ast.walk(queue.pop()):
                if isinstance(part, ast.Constant) and part.value in self.known:
                    found.add(part.value)
                target = self.space.get(part.id) if isinstance(part, ast.Name) else None
                if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
                    target = getattr(self.space.get(part.value.id), part.attr, None)
                if inspect.isfunction(target) and target not in seen:
                    seen.add(target)
                    if target.__module__.startswith(marks.__package__):
                        queue.append(ast.parse(inspect.getsource(target)))
        return found
