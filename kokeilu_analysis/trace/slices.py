"""Code as statements with the names they bind and use, and the ones behind an expression."""

import ast


def behind(lines, names):
    """Return the statements that names depend on, in their order.

    Parameters
    ----------
    lines : list of Statement
        What was run before, in order.
    names : set of str

    Examples
    --------
    >>> lines = [Statement(node) for node in ast.parse("a = 1; b = 2; c = a + 1").body]
    >>> [ast.unparse(line.node) for line in behind(lines, {"c"})]
    ['a = 1', 'c = a + 1']
    """
    wanted, found = set(names), []
    for line in reversed(lines):
        if wanted & (line.binds | line.changes):
            found.append(line)
            wanted = (wanted - line.binds) | line.uses
    return found[::-1]


class Statement:
    """A statement with the names it binds, changes and uses; `cell` says where it stands.

    Examples
    --------
    >>> line = Statement(ast.parse("a['x'] = [b + y for y in c]").body[0])
    >>> line.binds, line.changes, sorted(line.uses)
    (set(), {'a'}, ['a', 'b', 'c'])
    """

    def __init__(self, node, cell="", imported=()):
        self.node, self.cell = node, cell
        nodes = list(walk(node))
        inner = {n.id for c in nodes if isinstance(c, ast.comprehension) for n in _all(c.target)}
        inner |= {a.arg for f in nodes if isinstance(f, ast.Lambda) for a in f.args.args}
        named = [n for n in nodes if isinstance(n, ast.Name)]
        self.binds = {n.id for n in named if isinstance(n.ctx, ast.Store)} - inner
        self.uses = {n.id for n in named if isinstance(n.ctx, ast.Load)} - inner
        self.changes = {
            root
            for n in nodes
            if isinstance(n, ast.Subscript | ast.Attribute) and isinstance(n.ctx, ast.Store)
            for root in [dotted(n)[0]]
        }
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            self.changes |= self.binds
            self.binds = set()
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            # a method called for its own sake changes what it belongs to: frame.insert(…)
            self.changes |= {dotted(node.value.func)[0]} - {"", *imported}


def _all(target):
    return [n for n in ast.walk(target) if isinstance(n, ast.Name)]


def walk(node):
    """Yield nodes as `ast.walk` does, without what ``panel.load`` is asked for.

    All that is loaded would count as used otherwise; the caller looks at it on its own.
    """
    yield node
    below = [node.func] if _is_load(node) else ast.iter_child_nodes(node)
    for child in below:
        yield from walk(child)


def _is_load(node):
    return isinstance(node, ast.Call) and dotted(node.func) == ["panel", "load"]


def flat(body):
    """Yield statements one after another, those inside blocks included."""
    for node in body:
        if isinstance(node, ast.For):
            yield ast.Assign([node.target], node.iter)
        elif isinstance(node, ast.With):
            for item in node.items:
                if item.optional_vars is not None:
                    yield ast.Assign([item.optional_vars], item.context_expr)
        elif _is_pairwise(node):  # a, b = f(), g() is two statements
            for target, value in zip(node.targets[0].elts, node.value.elts, strict=True):
                yield ast.Assign([target], value)
        elif not hasattr(node, "body"):
            yield node
        for part in ("body", "orelse", "finalbody"):
            yield from flat(getattr(node, part, []))


def _is_pairwise(node):
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Tuple)
        and isinstance(node.value, ast.Tuple)
        and len(node.targets[0].elts) == len(node.value.elts)
    )


def dotted(node):
    """Return a name with its attributes as a list; it begins with "" where there is no name.

    A subscript or a call in between counts for the thing that it belongs to.
    """
    attributes = []
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            attributes.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Subscript):
            node = node.value
        else:
            return ["", *attributes[::-1]]
    return [node.id, *attributes[::-1]]
