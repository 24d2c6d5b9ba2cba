"""Tagged PDFs read back: what a screen reader is told, and what the pages hold."""

import io
from types import SimpleNamespace

from pypdf import PdfReader
from pypdf.generic import ArrayObject, DictionaryObject


def read(content):
    """Return what a PDF says of itself: language, title, tags, bookmarks, fonts, text."""
    reader = PdfReader(io.BytesIO(content))
    root = reader.trailer["/Root"]
    tags = list(elements(root["/StructTreeRoot"]))
    return SimpleNamespace(
        pages=len(reader.pages),
        language=root.get("/Lang"),
        title=reader.metadata.title,
        shows_title=bool(root.get("/ViewerPreferences", {}).get("/DisplayDocTitle")),
        marked=bool(root.get("/MarkInfo", {}).get("/Marked")),
        xmp=root["/Metadata"].get_data().decode("utf-8"),
        tags=tags,
        roles=[tag.role for tag in tags],
        bookmarks=list(bookmarks(reader.outline)),
        fonts=fonts(reader),
        first_page=reader.pages[0].extract_text,  # slow, so only when asked
        dates=[key for key in (reader.metadata or {}) if "Date" in key],
    )


def elements(node, parent=None):
    """Every element of the structure tree in reading order: role, alt text, language, parent."""
    kids = node.get("/K", [])
    kids = kids if isinstance(kids, ArrayObject) else [kids]
    for kid in kids:
        kid = kid.get_object() if hasattr(kid, "get_object") else kid
        if isinstance(kid, DictionaryObject) and "/S" in kid:
            role = kid["/S"][1:]
            attributes = kid.get("/A", [])
            attributes = attributes if isinstance(attributes, list) else [attributes]
            scopes = [a.get_object().get("/Scope") for a in attributes]
            yield SimpleNamespace(
                role=role,
                alt=kid.get("/Alt"),
                language=kid.get("/Lang"),
                scope=next((s for s in scopes if s), None),
                parent=parent,
            )
            yield from elements(kid, role)


def bookmarks(outline, level=1):
    """Bookmarks as (level, title)."""
    for entry in outline:
        if isinstance(entry, list):
            yield from bookmarks(entry, level + 1)
        else:
            yield level, entry.title


def fonts(reader):
    """Name of every font → whether its file is in the PDF."""
    found = {}
    for page in reader.pages:
        for font in page["/Resources"].get("/Font", {}).values():
            font = font.get_object()
            if "/DescendantFonts" in font:
                font = font["/DescendantFonts"][0].get_object()
            descriptor = font.get("/FontDescriptor", {})
            files = ("/FontFile", "/FontFile2", "/FontFile3")
            found[font["/BaseFont"][1:]] = any(key in descriptor for key in files)
    return found
