"""Free text of returns changes nothing but itself: no formula, no page, no document, no command."""

import html
import io
import os
import re
import sys

import openpyxl
import pandas as pd
import pytest
from documents import strings
from pypdf import PdfReader

from kokeilu_analysis import paths
from kokeilu_analysis.report import site, typeset
from kokeilu_analysis.sources import survey, survey_evidence
from kokeilu_analysis.sources import survey_files as files

sys.path.insert(0, str(paths.ROOT / "checks"))
from fuzz_readers import TOWNS

HOSTILE = [
    '=HYPERLINK("http://x.invalid","y")',
    "Toimi hyvin; =cmd|'/C calc'!A0",
    "@SUM(1+1)*cmd",
    "+358 -5 %",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '#eval("1+1") #read("/etc/passwd")',
    "$x^2$ and @ref and ] and [",
    "*bold* _it_ `code` = heading \\ end //",
    "{{ 7 * 7 }} {% raw %}",
    "&lt;b&gt; &amp;",
]


def answered(folder, texts, name="return.csv"):
    """Return what was read and kept of returns with these texts, one municipality and day each."""
    head = [f"{survey.form.FORM} {survey.form.VERSION}", ";".join(survey.form.NAMES)]
    quoted = ['"' + text.replace('"', '""') + '"' for text in texts]
    rows = [
        f"092;Vantaa;KK03;{day + 1}.4.2021;100;40;35;25;Palvelut;1;" + ";" * 9 + text
        for day, text in enumerate(quoted)
    ]
    path = folder / os.fsdecode(name)
    path.write_bytes("\n".join([*head, *rows, ""]).encode())
    found = survey.read_returns(path, TOWNS)
    assert found.problems.empty, found.problems.to_dict("records")
    return survey.save_returns(found, folder / "kept").accepted


def test_hostile_texts_are_kept_as_they_are_and_start_no_formula(tmp_path):
    accepted = answered(tmp_path, HOSTILE)
    assert list(accepted["free_text"]) == HOSTILE
    assert list(survey.kept(tmp_path / "kept")["free_text"]) == HOSTILE
    content = (tmp_path / "kept" / survey.KEPT).read_bytes()
    for delimiter in ",;\t":  # whichever way a spreadsheet splits it
        cells = pd.read_csv(
            io.BytesIO(content), sep=delimiter, dtype=str, header=None, names=range(99),
            engine="python", quoting=3,
        ).fillna("")  # fmt: skip
        starts = cells.map(lambda cell: cell.lstrip(' "').startswith(("=", "+", "-", "@", "＝")))
        assert not starts.to_numpy().any(), cells[starts.any(axis=1)].to_dict("records")


def test_hostile_texts_stay_texts_in_a_form_that_is_sent_back(tmp_path):
    accepted = answered(tmp_path, HOSTILE)
    path = survey.form.write_template(tmp_path / "back.xlsx", TOWNS, answers=accepted)
    sheet = openpyxl.load_workbook(path)[survey.form.SHEET]
    assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)
    assert set(survey.read_returns(path, TOWNS).accepted["free_text"]) == set(HOSTILE)


@pytest.mark.parametrize(
    "name", ["=1+1;@x.csv", "<b>#eval(1)$x$`y`.csv", b"\xff\n.csv", "-5 |a.csv"]
)
def test_the_name_of_a_returned_file_means_nothing_where_it_is_printed(name, tmp_path):
    accepted = answered(tmp_path, ["teksti"], name)
    assert list(survey.kept(tmp_path / "kept")["file"]) == list(accepted["file"])
    source = survey_evidence.to_evidence(accepted, TOWNS, date="2021-04-30", weights=pd.Series(
        {"092": 100, "245": 10}))["source"].iloc[0]  # fmt: skip
    assert not set("=;,@<>#$`|\n[]*{}\udcff") & set(
        source.removeprefix("returns of municipalities: ")
    )
    assert files.plain_name(tmp_path / "Pori (2).xlsx") == "Pori (2).xlsx"


def test_hostile_texts_are_set_in_a_pdf_as_they_are(tmp_path):
    parts = [
        typeset.part(text, typeset.text(text), typeset.bullets([text]), typeset.answer([text]))
        for text in HOSTILE
    ]
    rows = [[text, "1"] for text in HOSTILE]
    table = typeset.table("A @ref table", ["$x$", "#n"], rows, "lr", '#eval("1")')
    whole = typeset.document("en", *HOSTILE[:4], [*parts, typeset.part("T", table)])
    set_text = "".join(
        page.extract_text() for page in PdfReader(io.BytesIO(typeset.pdf(whole))).pages
    )
    squeezed = re.sub(r"\s", "", set_text)
    for text in HOSTILE:
        assert squeezed.count(re.sub(r"\s", "", text)) >= 4, text
    assert "root:" not in set_text and set(HOSTILE) <= set(strings(whole))


def test_hostile_texts_are_written_in_a_page_as_they_are():
    rows = [[text, text] for text in HOSTILE]
    table = {"caption": HOSTILE[4], "head": HOSTILE[4:6], "rows": rows, "align": ["l", "l"]}
    said = {"headline": HOSTILE[4], "subtitle": HOSTILE[5], "alt": HOSTILE[5], "note": HOSTILE[10]}
    figure = {
        "id": "F1",
        "number": "Figure 1",
        "said": said | {"source": HOSTILE[9]},
        "size": (1, 1),
    }
    figure |= {"picture": 'x" onerror="y', "notebook": "01", "chain": [(HOSTILE[4], [])]}
    figure |= {"table": table | {"note": HOSTILE[5]}, "downloads": [{"href": "a", "label": "<b>"}]}
    page = site._page("figures", "en", "figures", HOSTILE[4], figures=[figure]).decode()
    assert not re.search(r"<script>|<img src=x|<b>|x\" onerror", page)
    for text in HOSTILE:
        assert text in html.unescape(page)


def test_no_free_text_reaches_a_page_or_a_table_of_results():
    """What notebooks and pages read of returns has no column of free text."""
    places = TOWNS
    accepted = survey.kept("no such folder")
    tables = [
        survey_evidence.to_evidence(accepted, places),
        survey_evidence.response_rate(accepted, places),
        survey_evidence.coverage(accepted, places),
    ]
    assert not any({"free_text", "source_office"} & set(table) for table in tables)
    readers = [p for p in paths.PACKAGE.rglob("*.py") if "free_text" in p.read_text("utf-8")]
    assert {p.parent.name for p in readers} == {"sources"}
    assert not [p for p in paths.NOTEBOOKS.glob("*.ipynb") if "free_text" in p.read_text("utf-8")]
