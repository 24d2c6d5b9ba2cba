"""Ways to spoil a file: its bytes, its tokens and its structure, for each form that readers take.

Every function takes what to spoil and a `random.Random` and returns the spoiled thing, so that the
same seed spoils the same way.
"""

import gzip
import io
import json
import pickle
import re
import tomllib
import zipfile
from functools import cache, lru_cache

LONG, DEEP = 100_000, 1_200
CANARY = "/proc/self/environ"  # what an external entity asks for; nothing of it may come back
NUMBERS = ["", "0", "-1", "-0", "1e308", "1e999", "-1e999", "NaN", "inf", "-inf", "null", "true"]
NUMBERS += ["9" * 20, "9" * 400, "9" * 5000, "0.5", "1,5", "1 200", "1_000", "0x10", "٣", "½", "²"]
FORMULAS = ["=1+1", "=cmd|'/C calc'!A0", '=HYPERLINK("http://x.invalid")', "@SUM(A1)", "+1", "-5 x"]
MARKUP = [
    "<script>alert(1)</script>",
    "<b>",
    "]]>",
    "&x;",
    "&#0;",
    '#eval("1")',
    "$x$",
    "@ref",
    "]",
]
SIGNS = ["\u202eabc", "\u200b", "\ufeff", "\0", "\x1b[31m", "\r", "\n", "\t", "\x85", "\u2028"]
SIGNS += [
    "\ud800",
    '"',
    "'",
    ";",
    ",",
    "\\",
    "%s%n",
    "{0}",
    "../../x",
    "/etc/passwd",
    "Å",
    "é\u0301",
]
PLACES = ["2021-02-30", "0000-00-00", "0001-01-01", "9999-12-31", "2021M13", "2099M12", "KU999"]
PLACES += ["KU091", "KK01", "KK01;KK02", "all", "default", "mean", "order", "none", "first_year"]
TOKENS = [*NUMBERS, *FORMULAS, *MARKUP, *SIGNS, *PLACES, "a" * LONG, "ä" * 5000, "= " * 2000]
VALUES = [None, True, 0, -1, 1.5, 1e308, float("inf"), 2**53, 2**70, 10**400, [], {}, [[]], [None]]
VALUES += [{"a": 1}, [1, 2], ["a", "b"], [["a"], ["b"]], "x", "2021-03", ["2021-03", "2020-02"]]
TOKEN = re.compile(rb"[\w.+-]+|[^\w\s]", re.ASCII)
ENCODINGS = ("utf-16", "utf-16-be", "latin-1", "utf-8-sig", "utf-32", "cp037")


def spoiled(content, form, random, others=()):
    """Return `content` spoiled one to four times.

    Parameters
    ----------
    content : bytes
    form : {"csv", "csv.gz", "json", "toml", "xlsx", "parquet"}
    random : random.Random
    others : sequence of bytes
        More inputs of the same form, to splice with.

    Returns
    -------
    bytes
    """
    for _ in range(random.choice((1, 1, 1, 2, 2, 4))):
        way = random.choice(WAYS[form])
        try:
            content = way(content, random, others)
        except Exception:  # too broken already for its structure
            content = _bytes(content, random, others)
    return content


def _bytes(content, random, others):
    """Flip, insert, delete, double, cut off or splice bytes."""
    at = random.randrange(len(content) + 1)
    end = min(len(content), at + random.choice((1, 1, 2, 8, 100, 1000)))
    way = random.randrange(6)
    if way == 0 and at < len(content):
        flipped = content[at] ^ (1 << random.randrange(8))
        return content[:at] + bytes([flipped]) + content[at + 1 :]
    if way == 1:
        return content[:at] + random.randbytes(end - at + 1) + content[at:]
    if way == 2:
        return content[:at] + content[end:]
    if way == 3:
        return content[:end] + content[at:end] * random.choice((1, 3, 50)) + content[end:]
    if way == 4 or not others:
        return content[:at]
    other = random.choice(others)
    return content[:at] + other[random.randrange(len(other) + 1) :]


def _token(content, random, others):
    """Put another token in the place of one, or beside it."""
    start = random.randrange(len(content) + 1)
    found = TOKEN.search(content, start) or TOKEN.search(content)
    first, last = found.span() if found else (start, start)
    first = last if random.random() < 0.2 else first
    token = random.choice(TOKENS).encode("utf-8", "surrogatepass")
    return content[:first] + token + content[last:]


def _encoding(content, random, others):
    return content.decode("utf-8").encode(random.choice(ENCODINGS), "replace")


def _table(content, random, others):
    """Drop, double and swap rows, columns and cells of delimited text."""
    text = content.decode("utf-8", "surrogateescape")
    delimiter = max(",;", key=text.count)
    rows = [line.split(delimiter) for line in text.split("\n")]
    a, b = random.randrange(len(rows)), random.randrange(len(rows))
    c, d = (random.randrange(max(1, len(rows[a]))) for _ in range(2))
    way = random.randrange(10)
    if way == 0:
        rows = [row[:c] + row[c + 1 :] for row in rows]
    elif way == 1:
        rows = [row[: c + 1] + row[c:] for row in rows]
    elif way == 2:
        for row in rows:
            if max(c, d) < len(row):
                row[c], row[d] = row[d], row[c]
    elif way == 3:
        del rows[a]
    elif way == 4:
        rows[b:b] = [rows[a]] * random.choice((1, 1, 1, 300))
    elif way == 5:
        rows[a], rows[b] = rows[b], rows[a]
    elif way == 6:
        rows[a] = rows[a] + [""] * random.choice((1, 200))
    elif way == 7 and max(c, 0) < len(rows[b]):
        rows[a][c], rows[b][c] = rows[b][c], rows[a][c]
    elif way == 8:
        random.shuffle(rows)
    else:
        rows[a][c] = random.choice(TOKENS)
    text = "\n".join(delimiter.join(row) for row in rows)
    return text.encode("utf-8", "surrogatepass" if "\ud800" in text else "surrogateescape")


def _tree(tree, random):
    """Retype, remove, rename, wrap or move one node of parsed data; return the tree."""
    places, queue = [], [tree]
    while queue:
        node = queue.pop()
        inside = node.items() if isinstance(node, dict) else enumerate(node)
        for key, part in inside:
            places.append((node, key))
            if isinstance(part, dict | list):
                queue.append(part)
    if not places:
        return random.choice(VALUES)
    (node, key), (other, place) = random.choice(places), random.choice(places)
    way = random.randrange(7)
    if way == 0:
        del node[key]
    elif way == 1:
        node[key] = [node[key]]
    elif way == 2:
        node[key] = json.loads(json.dumps(other[place]))
    elif way == 3 and isinstance(node, dict):
        node[random.choice(TOKENS)] = node.pop(key)
    elif way == 4 and isinstance(node, list):
        node.insert(key, node[key])
    elif way == 5:
        node[key] = random.choice(TOKENS)
    else:
        node[key] = random.choice(VALUES)
    return tree


def _json(content, random, others):
    tree = _tree(json.loads(content), random)
    if random.random() < 0.05:  # nested nearly without end, somewhere
        text, depth = json.dumps(tree, ensure_ascii=False), random.choice((50, 300, 900, DEEP))
        nested = random.choice(("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth))
        text = re.sub(r"null|-?\d+|\[\]|\"[^\"]*\"(?=[,}\]])", lambda _: nested, text, count=1)
    elif random.random() < 0.05:  # few words that ask for a cube without end
        sides, side = random.choice(((2, 3000), (5, 100), (12, 10)))
        ids = [f"d{n}" for n in range(sides)]
        categories = {"category": {"index": [f"c{n}" for n in range(side)]}}
        text = json.dumps(
            {"id": ids, "size": [side] * sides, "dimension": dict.fromkeys(ids, categories)}
            | {"value": random.choice(({}, {"0": 1}, [])), "class": "dataset"}
        )
    else:
        text = json.dumps(tree, ensure_ascii=random.random() < 0.5)
    return text.encode("utf-8", "surrogatepass")


def toml(value):
    """Return a value as inline TOML, the text of a whole file for a table."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str | bool):
        return json.dumps(value)
    return "[]" if value is None else str(value).replace("infinity", "inf")


@lru_cache(maxsize=400)
def _packed_tree(content):  # reading TOML takes longer than all else
    return pickle.dumps(tomllib.loads(content.decode("utf-8")))


def _toml(content, random, others):
    tree = _tree(pickle.loads(_packed_tree(content)), random)
    lines = [f"{json.dumps(key)} = {toml(value)}" for key, value in tree.items()]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _gz(content, random, others):
    inner = gzip.decompress(content)
    way = random.choice((_bytes, _token, _token, _table, _table, _encoding))
    return gzip.compress(way(inner, random, ()), 1, mtime=0)


def _zip(parts):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, text in parts:
            archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def parts_of(content):
    """Return the parts of a workbook as {name: bytes}; one that claims to be large is left out."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {p.filename: archive.read(p) for p in archive.infolist() if p.file_size < 1 << 20}


def with_shared_strings(content):
    """Return a workbook as Excel writes it: the texts of cells stand in a part of their own."""
    parts, texts = parts_of(content), []

    def shared(match):
        texts.append(match.group(2))
        return match.group(1) + b't="s"><v>%d</v></c>' % (len(texts) - 1)

    inline = rb'(<c [^>]*)t="inlineStr"[^>]*><is>(<t[^>]*>[^<]*</t>)</is></c>'
    for name in [n for n in parts if n.startswith("xl/worksheets/sheet")]:
        parts[name] = re.sub(inline, shared, parts[name])
    main = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    items = b"".join(b"<si>" + text + b"</si>" for text in texts)
    parts[STRINGS] = b'<?xml version="1.0"?><sst xmlns="' + main + b'">' + items + b"</sst>"
    kind = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    listed = b'<Override PartName="/xl/sharedStrings.xml" ContentType="' + kind + b'"/></Types>'
    types = "[Content_Types].xml"
    parts[types] = parts[types].replace(b"</Types>", listed)
    return _zip(parts.items())


def _workbook(content, random, others):
    """Spoil one XML part, or put one of the known attacks in."""
    parts = parts_of(content)
    sheets = [name for name in parts if name.startswith("xl/worksheets/")]
    name = random.choice([*parts, *sheets, *sheets, STRINGS, "xl/workbook.xml"])
    if random.random() < 0.3:
        ATTACKS[random.randrange(len(ATTACKS))](parts, random)
    elif random.random() < 0.1:
        del parts[name]
    elif random.random() < 0.15:
        parts[name] = _bytes(parts[name], random, ())
    else:  # an attribute or a text
        text, found = parts[name], []
        found = list(re.finditer(rb'(?<==")[^"]*(?=")|(?<=>)[^<]+(?=<)', text))
        where = random.choice(found).span() if found else (0, 0)
        new = random.choice([*TOKENS, "s", "n", "e", "b", "d", "str", "inlineStr", "A1:B9", "A1"])
        new = new.encode("utf-8", "surrogatepass")
        if random.random() < 0.7:
            new = new.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b'"', b"&quot;")
        parts[name] = text[: where[0]] + new + text[where[1] :]
    return _zip(parts.items())


def _entity(parts, random):
    name = random.choice([n for n in parts if n.endswith((".xml", ".rels"))])
    lol = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    declared = random.choice(
        (
            f'<!ENTITY a0 "ha">{lol}',
            f'<!ENTITY a9 SYSTEM "file://{CANARY}">',
            f'<!ENTITY % p SYSTEM "file://{CANARY}"> %p;',
        )
    )
    head, _, body = parts[name].decode("utf-8").partition("?>")
    body = body or head
    body = re.sub(r">[^<>]+<", ">&a9;<", body, count=1) if random.random() < 0.8 else body
    text = f"<!DOCTYPE x [{declared}]>{body}"
    parts[name] = text.encode(random.choice(("utf-8", "utf-8", "utf-16")))


def _traversal(parts, random):
    parts[random.choice(("../../outside", "/srv/outside.xml", "xl/../../o.xml", "..\\o.xml"))] = (
        b"x"
    )


def _sheet(parts):
    return max(
        (n for n in parts if n.startswith("xl/worksheets/sheet")), key=lambda n: len(parts[n])
    )


def _dimension(parts, random):
    name, far = _sheet(parts), random.choice((b"A1:XFD1048576", b"A1:ZZZZ9", b"A0", b"B2:A1", b""))
    parts[name] = re.sub(rb'(<dimension ref=")[^"]*', rb"\g<1>" + far, parts[name])


def _far_cell(parts, random):
    name, far = (
        _sheet(parts),
        random.choice((b"XFD1048576", b"A1048576", b"AAAA1", b"A99999999999")),
    )
    inside = random.choice((b"<v>1</v>", b"", b"<is><t>x</t></is>"))
    cell = b'<row r="7"><c r="' + far + b'">' + inside + b"</c></row></sheetData>"
    parts[name] = parts[name].replace(b"</sheetData>", cell)


def _merged(parts, random):
    areas = [b"A1:XFD1048576", b"D5:D6", b"A1", b"E7:E5", b"x", b"D5:D6", b"A0:B0"]
    merged = b"".join(b'<mergeCell ref="' + random.choice(areas) + b'"/>' for _ in range(3))
    name = _sheet(parts)
    parts[name] = parts[name].replace(
        b"</sheetData>", b"</sheetData><mergeCells>" + merged + b"</mergeCells>"
    )


def _shared(parts, random):
    name = _sheet(parts)
    index = random.choice((b"99999999", b"-1", b"x", b"", b"1e3", b"9" * 5000))
    parts[name] = re.sub(rb'(t="s"[^>]*><v>)\d+', rb"\g<1>" + index, parts[name], count=1)


def _kind(parts, random):
    name = _sheet(parts)
    kind = random.choice((b"n", b"e", b"b", b"d", b"str", b"inlineStr", b"zzz"))
    value = random.choice((b"1e400", b"-1e400", b"NaN", b"", b"9" * 4000, b"2021-03-31", b"1.5.5"))
    cell = b'<c r="E7" s="%d" t="%s"><v>%s</v></c>' % (random.choice((0, 1, 2, 9999)), kind, value)
    parts[name] = re.sub(rb'<c r="E7"[^>]*?(/>|>.*?</c>)', cell, parts[name], count=1)


def _formula(parts, random):
    name = _sheet(parts)
    formula = random.choice(
        (
            b"<f>1+1</f>",
            b'<f t="shared" si="7"/>',
            b'<f t="array" ref="A1:B2">1+1</f>',
            b'<f t="dataTable" ref="A1:B2" dt2D="1"/>',
            b'<f t="array">1</f>',
            b"<f/>",
        )
    )
    cell = b'<c r="F7">' + formula + b"<v>5</v></c>"
    parts[name] = re.sub(rb'<c r="F7"[^>]*?(/>|>.*?</c>)', cell, parts[name], count=1)


def _relation(parts, random):
    name = "xl/_rels/workbook.xml.rels"
    target = random.choice(
        (b"../../../etc/passwd", b"file:///etc/passwd", b"http://x.invalid/", b"")
    )
    parts[name] = re.sub(rb'(Target=")[^"]*', rb"\g<1>" + target, parts[name], count=1)


def _many(parts, random):
    for number in range(600):  # more than a reader may allow
        parts[f"xl/media/{number}.png"] = b""


ATTACKS = [_entity, _traversal, _dimension, _far_cell, _merged, _shared, _kind, _formula]
ATTACKS += [_relation, _many]


def _parquet(content, random, others):
    """Drop, double, rename and retype columns, or put odd values in, of a Parquet table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(content))
    at, way = random.randrange(table.num_columns), random.randrange(6)
    name, column = table.column_names[at], table.column(at)
    if way == 0:
        table = table.remove_column(at)
    elif way == 1:
        table = table.rename_columns(
            [random.choice(TOKENS[:90]) if c == name else c for c in table.column_names]
        )
    elif way == 2:
        kind = random.choice(
            (pa.string(), pa.float64(), pa.int64(), pa.binary(), pa.timestamp("ns"))
        )
        table = table.set_column(
            at, name, column.cast(pa.string(), safe=False).cast(kind, safe=False)
        )
    elif way == 3:
        table = pa.concat_tables([table, table.slice(random.randrange(len(table) + 1))])
    elif way == 4:
        table = table.slice(0, random.choice((0, 1, 5)))
    else:
        values = column.to_pylist()
        place, value = (
            random.randrange(len(values)),
            random.choice([None, 0, -1, 2**40, *TOKENS[:80]]),
        )
        if isinstance(value, str):
            values = [None if v is None else str(v) for v in values]
        values[place] = value
        table = table.set_column(at, name, pa.array(values))
    made = io.BytesIO()
    pq.write_table(table, made)
    return made.getvalue()


@cache
def _packed(unit, size):
    return gzip.compress(unit * (size // len(unit)), 1, mtime=0)


@cache
def workbook_bomb(name, unit, size, head=b"", tail=b""):
    """Return a small archive of a workbook whose part `name` unpacks to `size` bytes."""
    parts = [("[Content_Types].xml", b"<x/>"), ("xl/workbook.xml", b"<x/>")]
    return _zip([*parts, (name, head + unit * (size // len(unit)) + tail)])


SHEET, STRINGS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
MIB = 1 << 20
BOMBS = {
    "csv": [
        lambda: b"\n" * (20 * MIB),
        lambda: b";" * (20 * MIB),
        lambda: b"a,b\n" * (5 * MIB),
        lambda: b'"' * MIB,
        lambda: b"customers_transferred" + b";" * (4 * MIB),
        lambda: b"1 " * MIB,
    ],
    "csv.gz": [
        lambda: _packed(b"\n", 300 * MIB),
        lambda: _packed(b"\0", 300 * MIB),
        lambda: _packed(b"alue,kuukausi,TYOVOIMATK\n", 120 * MIB),
    ],
    "json": [
        lambda: b"[" * (5 * MIB),
        lambda: b'{"a":' * 20_000,
        lambda: b"[" + b"0," * (5 * MIB) + b"0]",
        lambda: b'"' + b"a" * (20 * MIB) + b'"',
    ],
    "toml": [
        lambda: b"a = " + b"[" * 50_000,
        lambda: b".".join([b"a"] * 20_000) + b" = 1",
        lambda: b"".join(b"[[robustness]]\nspec = 'a%d'\n" % n for n in range(20_000)),
        lambda: b"a = " + b"9" * 10_000,
        lambda: b"a" * (20 * MIB),
    ],
    "xlsx": [
        lambda: workbook_bomb(SHEET, b"\0", 200 * MIB),
        lambda: workbook_bomb(SHEET, b"<mergeCell ", 5 * MIB),
        lambda: workbook_bomb(SHEET, b"mergeCell ", 5 * MIB),
        lambda: workbook_bomb(SHEET, b"mergeCell ", 5 * MIB, b"<"),
        lambda: workbook_bomb(SHEET, b' r="A1"', 5 * MIB, b"<c"),
        lambda: workbook_bomb(SHEET, b"<row/>", 20 * MIB, b"<x>", b"</x>"),
        lambda: workbook_bomb(STRINGS, b"<si><t>a</t></si>", 30 * MIB, b"<sst>", b"</sst>"),
        lambda: workbook_bomb("docProps/core.xml", b"<a>", 5 * MIB),
        lambda: workbook_bomb("docProps/core.xml", b"<a>", 250_000),
        lambda: workbook_bomb(SHEET, b"<row/>", 1 * MIB, b"<x>", b"</x>"),
        lambda: workbook_bomb(SHEET, b'<c"', 5 * MIB),
        lambda: workbook_bomb(SHEET, b"<mergeCell x='", 5 * MIB),
    ],
    "parquet": [lambda: b"PAR1" + b"\0" * MIB + b"PAR1"],
}
WAYS = {
    "csv": [_bytes, _token, _token, _token, _table, _table, _table, _encoding],
    "csv.gz": [_gz, _gz, _gz, _gz, _bytes],
    "json": [_bytes, _token, _token, _json, _json, _json, _json, _encoding],
    "toml": [_bytes, _token, _token, _toml, _toml, _toml, _encoding],
    "xlsx": [_workbook, _workbook, _workbook, _workbook, _workbook, _bytes],
    "parquet": [_parquet, _parquet, _parquet, _bytes],
}
