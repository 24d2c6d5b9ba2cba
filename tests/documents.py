"""What stands in a document before it is set: every text of its content, and the texts' sources."""

import re

from kokeilu_analysis.report import numbers

LANGUAGES = numbers.LANGUAGES
DATE = re.compile(r"\b\d{1,2}\.\d{1,2}\.\d{4}\b")
# words that would be left over from the English texts; none is a word of Finnish or Swedish
ENGLISH = (
    "the and with from trial trials areas unemployment unemployed percentage points interval "
    "backlog estimate year month mean lowest highest figure source comparison municipalities "
    "labour force weighted every bounds without effect uncertainty how what which than"
).split()


def strings(content):
    """Every text of a document in the document's language, those inside its pictures included."""
    yield from (content[key] for key in ("title", "subtitle", "running", "description"))
    for part in content["parts"]:
        yield part["heading"]
        for block in part["blocks"]:
            yield from block_strings(block, content["lang"])


def block_strings(block, lang):
    for key in ("text", "caption", "note", "alt", "subtitle"):
        if block.get(key):
            yield block[key]
    yield from block.get("head", [])
    yield from (cell for row in block.get("rows", []) for cell in row)
    for item in block.get("items", []):
        if isinstance(item, str):
            yield item
        elif item["lang"] == lang:
            yield item["text"]
    yield from re.findall(r"<text[^>]*>([^<]+)</text>", block.get("svg", ""))


def blocks(content, kind):
    return [b for part in content["parts"] for b in part["blocks"] if b["kind"] == kind]


def keys(tree):
    """Names of a tree of texts as dotted paths, positions of lists included."""
    if isinstance(tree, list):
        tree = dict(enumerate(tree))
    if not isinstance(tree, dict):
        return {""}
    return {f"{name}.{below}" for name, value in tree.items() for below in keys(value)}


def choices(tree, where=""):
    """Every table of wordings in a tree of texts: its path and the table."""
    if isinstance(tree, list):
        tree = dict(enumerate(tree))
    if isinstance(tree, dict):
        if "by" in tree:
            yield where, tree
        for name, value in tree.items():
            yield from choices(value, f"{where}.{name}")


def badly_written(content):
    """Texts with numbers that are not written as the language writes them, or not filled."""
    for text in strings(content):
        plain = DATE.sub("", text)
        wrong = re.search(r"[{}]|\bnan\b|\bNone\b(?! of)", text) or re.search(
            r"(?<![\w])-\d", plain
        )
        if content["lang"] == "en":
            wrong = wrong or re.search(r"\d,\d(?!\d\d)|\d[ \u00a0]%", plain)
        else:
            wrong = wrong or re.search(r"\d\.\d|\d[ ]?%|\d,\d{3}\b", plain)
        if wrong:
            yield text


def english_words(content):
    found = {w for text in strings(content) for w in re.findall(r"[a-zåäö]+", text.lower())}
    return sorted(found & set(ENGLISH))
