"""Small faults for `mutate.py`: each mutant changes one place of a module's syntax tree.

Not changed: texts (messages, f-strings, docstrings, names of columns), what is raised (but whether
anything is raised), arguments of warnings, annotations, decorators, imports, `__all__`.

A mutant has two names: `name` with its line, to find it, and `key` without, to remember it by:
module, function, statement, what became what, and a number where that is not the only one. A key
holds while other lines are edited, and lapses when its own statement is.
"""

import ast
import copy
from collections import Counter, namedtuple

SWAPS = [
    (ast.Lt, ast.LtE),
    (ast.Gt, ast.GtE),
    (ast.Eq, ast.NotEq),
    (ast.Is, ast.IsNot),
    (ast.In, ast.NotIn),
    (ast.Add, ast.Sub),
    (ast.Mult, ast.Div),
    (ast.FloorDiv, ast.Mod),
    (ast.BitAnd, ast.BitOr),
    (ast.And, ast.Or),
]
OTHER = {a: b for a, b in SWAPS} | {b: a for a, b in SWAPS} | {ast.Pow: ast.Mult}
WORDS = "min max|minimum maximum|argmin argmax|lower upper|low high|floor ceil|any all|first last"
OPPOSITE = {
    a: b
    for pair in map(str.split, WORDS.split("|"))
    for a, b in (pair, reversed(pair))  # noqa: B007
}
NEGATED_ALREADY = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)

# `lines`: (first, last) that a test must reach; None if the code runs at import
Mutant = namedtuple("Mutant", "module name key lines edit")


def opposite(node):
    """Negation of a condition, or nothing if another fault negates it already."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return []
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], NEGATED_ALREADY):
        return []
    return [ast.UnaryOp(ast.Not(), node)]


def changed(node, **fields):
    """A copy of a node with other fields."""
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def is_text(node):
    """Whether an expression is visibly a text."""
    if isinstance(node, ast.BinOp):
        return is_text(node.left) or is_text(node.right)
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def constants(value):
    """Other values of a constant."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, float):
        return [value + 1, -value] if value else [1.0]
    return [OPPOSITE[value]] if isinstance(value, str) and value in OPPOSITE else []


def has_effect_on_itself(node):
    """Whether an assignment changes something that was there before."""
    target = node.targets[0]
    if isinstance(target, ast.Subscript | ast.Attribute):
        return True
    names = {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}
    return any(isinstance(n, ast.Name) and n.id in names for n in ast.walk(node.value))


def faults(node, known):
    """Faulty versions of one node; `known` are the names of the enclosing function."""
    match node:
        case ast.Compare():
            for i, op in enumerate(node.ops):
                if type(op) in OTHER:
                    ops = [*node.ops[:i], OTHER[type(op)](), *node.ops[i + 1 :]]
                    yield changed(node, ops=ops)
        case ast.BinOp() if type(node.op) in OTHER and not is_text(node):
            yield changed(node, op=OTHER[type(node.op)]())
        case ast.AugAssign():
            if type(node.op) in OTHER and not is_text(node.value):
                yield changed(node, op=OTHER[type(node.op)]())
            yield ast.Pass()
        case ast.BoolOp():
            yield changed(node, op=OTHER[type(node.op)]())
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert()):
            yield node.operand
        case ast.Constant():
            yield from (ast.Constant(value) for value in constants(node.value))
        case ast.Name() if OPPOSITE.get(node.id) in {*known, "min", "max", "any", "all"}:
            yield changed(node, id=OPPOSITE[node.id])
        case ast.Attribute() if node.attr in OPPOSITE:
            yield changed(node, attr=OPPOSITE[node.attr])
        case ast.If() | ast.While() | ast.IfExp():
            yield from (changed(node, test=test) for test in opposite(node.test))
        case ast.comprehension():
            for i, test in enumerate(node.ifs):
                for new in opposite(test):
                    yield changed(node, ifs=[*node.ifs[:i], new, *node.ifs[i + 1 :]])
        case ast.Return() if node.value and not (
            isinstance(node.value, ast.Constant) and node.value.value is None
        ):
            yield ast.Return(ast.Constant(None))
        case ast.Raise() | ast.Expr(value=ast.Call()) | ast.Continue() | ast.Break():
            yield ast.Pass()
        case ast.Assign() if has_effect_on_itself(node):
            yield ast.Pass()


def described(old, new):
    """One line that says what was changed into what."""
    if isinstance(new, ast.Pass):
        return f"{ast.unparse(old).splitlines()[0][:70]} ⇒ nothing"
    if isinstance(old, ast.If | ast.While | ast.IfExp):
        old, new = old.test, new.test
    if isinstance(old, ast.comprehension):
        pairs = zip(old.ifs, new.ifs, strict=True)
        old, new = next((a, b) for a, b in pairs if a is not b)
    return f"{ast.unparse(old)[:70]} ⇒ {ast.unparse(new)[:70]}"


SKIPPED = {"annotation", "returns", "decorator_list", "exc", "cause", "msg"}
UNTOUCHED = (ast.Import, ast.ImportFrom, ast.JoinedStr)
COMPOUND = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match, ast.ClassDef)


def header(node):
    """Lines of a statement without the statements inside it."""
    last = node.body[0].lineno - 1 if isinstance(node, COMPOUND) and node.body else None
    return node.lineno, max(node.lineno, last if last is not None else node.end_lineno)


def statement(node):
    """The first line of a statement, shortened."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return f"def {node.name}"
    return ast.unparse(node).partition("\n")[0][:60]


def places(node, lines=None, known=(), inside=False, at=("", "")):
    """Every (node, parent, field, index, lines, known, where) that may be faulty.

    `lines` are those that a test must reach; None when the code runs at import. `where` names the
    function and the statement.
    """
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        at = f"{at[0]}.{node.name}", statement(node)
    if isinstance(node, ast.FunctionDef):
        known = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        known |= {a.arg for a in ast.walk(node) if isinstance(a, ast.arg)}
        lines, inside = (node.body[0].lineno, node.end_lineno), True
    elif isinstance(node, ast.stmt) and inside:
        lines = header(node)
    for field, value in ast.iter_fields(node):
        if field in SKIPPED:
            continue
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST) or isinstance(child, UNTOUCHED):
                continue
            if isinstance(child, ast.Assign) and ast.unparse(child.targets[0]) == "__all__":
                continue
            reached = header(child) if isinstance(child, ast.stmt) and inside else lines
            index = index if isinstance(value, list) else None
            place = (at[0], statement(child)) if isinstance(child, ast.stmt) else at
            yield child, node, field, index, reached, known, place
            if isinstance(child, ast.keyword) and child.arg == "axis":
                continue
            if isinstance(child, ast.Call) and ast.unparse(child.func).endswith("warn"):
                continue
            yield from places(child, lines, known, inside, place)


def mutants(module, source):
    """The syntax tree of a module and all its mutants, in the order of its text."""
    found, tree, times = [], ast.parse(source), Counter()
    for node, parent, field, index, lines, known, where in places(tree):
        new = list(faults(node, known))
        if isinstance(node, ast.keyword) and node.arg == "axis":
            if isinstance(node.value, ast.Constant) and node.value.value in (0, 1):
                new = [changed(node, value=ast.Constant(1 - node.value.value))]
        for other in new:
            at = node if hasattr(node, "lineno") else node.target  # comprehensions have no place
            says = described(node, other)
            name = f"{module}:{at.lineno}:{at.col_offset}: {says}"
            key = f"{module}{where[0]}: {where[1]} | {says}"
            times[key] += 1
            key += f" ({times[key]})" if times[key] > 1 else ""
            if isinstance(node, ast.expr | ast.stmt):
                ast.copy_location(other, node)
            ast.fix_missing_locations(other)
            found.append(Mutant(module, name, key, lines, (parent, field, index, other)))
    return tree, found


def commit(edit):
    """Put the fault into its tree."""
    parent, field, index, new = edit
    if index is None:
        setattr(parent, field, new)
    else:
        getattr(parent, field)[index] = new
