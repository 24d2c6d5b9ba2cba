"""The form that municipalities fill in: its columns, its wording, how it is written.

One layout serves both formats: a version cell, Finnish labels, Swedish labels, machine names,
then one row per municipality. How a return is opened is in `survey_files`, what its cells say is
judged in `survey`.
"""

import csv
import datetime
import io
import itertools
import re
import zipfile
from typing import NamedTuple

import pandas as pd

from kokeilu_analysis import store
from kokeilu_analysis.errors import KokeiluError

FORM = "kokeilu-lomake"
VERSION = 1
GUIDE, SHEET, LISTS = "Ohje–Anvisningar", "Vastaus", "Luettelot"
FIRST_DAY, LAST_DAY = pd.Timestamp("2021-03-01"), pd.Timestamp("2024-12-31")  # of the trials
TEXT_LIMIT, OFFICE_LIMIT = 2000, 120
SPARE_ROWS = 20  # empty rows for municipalities interviewed as comparisons
STAMP = datetime.datetime(2021, 3, 1)  # stands where a workbook would otherwise carry the clock

# The nine themes of the letter to the committee, in its order.
THEMES = {
    "theme_1": (
        "Sote- ja työllisyyspalvelut yhdessä",
        "Vård-, social- och sysselsättningstjänster",
    ),
    "theme_2": ("Yritys- ja työnantajapalvelut", "Företags- och arbetsgivartjänster"),
    "theme_3": ("Työllisyys, koulutus ja osaaminen", "Sysselsättning, utbildning och kompetens"),
    "theme_4": ("Oma valmentaja, työhönvalmennus", "Egen coach, arbetsträning"),
    "theme_5": ("Maahanmuuttajat", "Invandrare"),
    "theme_6": ("Osatyökykyiset", "Partiellt arbetsföra"),
    "theme_7": ("Dynaaminen hankintajärjestelmä", "Dynamiskt inköpssystem"),
    "theme_8": ("Palvelut ruotsiksi ja muilla kielillä", "Tjänster på svenska och andra språk"),
    "theme_9": ("Digitaaliset ratkaisut, tekoäly", "Digitala lösningar, artificiell intelligens"),
}


class Column(NamedTuple):
    """A column of the form: machine name, what kind of answer it takes, its labels, its width."""

    name: str
    kind: str
    fi: str
    sv: str
    width: int = 14


COLUMNS = (
    Column("municipality", "code", "Kuntanumero", "Kommunnummer"),
    Column("municipality_name", "name", "Kunta", "Kommun", 18),
    Column("area_id", "area", "Kokeilualue", "Försöksområde"),
    Column("date", "date", "Laskentapäivä", "Beräkningsdag"),
    Column("customers_transferred", "count", "Siirtyneet asiakkaat", "Överförda kunder", 22),
    Column("plans_valid", "count", "Suunnitelma voimassa", "Gällande plan"),
    Column("plans_out_of_date", "count", "Suunnitelma vanhentunut", "Föråldrad plan", 18),
    Column("plans_never_made", "count", "Suunnitelmaa ei ole tehty", "Ingen plan har gjorts", 18),
    Column("source_office", "office", "Luvut antanut toimisto", "Byrå som lämnat siffrorna", 30),
    Column("round_done", "round", "Haastattelukierroksia pidetty", "Genomförda intervjurundor", 16),
    *(Column(name, "yes_no", fi, sv, 20) for name, (fi, sv) in THEMES.items()),
    Column("free_text", "text", "Vapaa sana", "Fritt ord", 60),
)
NAMES = [column.name for column in COLUMNS]
PLANS = ["plans_valid", "plans_out_of_date", "plans_never_made"]
COUNTS = ["customers_transferred", *PLANS]
LABEL_ROWS = 4  # version, Finnish, Swedish, machine names: the data start below

GUIDANCE = (
    ("Suunnitelmavelka kuntakokeilun alkaessa", "Släpande planer när kommunförsöket började"),
    (
        "Osalla kokeiluihin siirtyneistä asiakkaista suunnitelma oli vanhentunut tai kokonaan "
        "tekemättä. Kysymme kuntanne lukuja, jotta lähtötilanne voidaan ottaa huomioon, kun "
        "kokeilujen vaikutuksia arvioidaan.",
        "En del av kunderna som fördes över till försöken hade en föråldrad plan eller ingen plan "
        "alls. Vi ber om er kommuns siffror för att utgångsläget ska kunna beaktas när försökens "
        "effekter bedöms.",
    ),
    (
        "Täyttäkää välilehti Vastaus. Jokaisella kokeilukunnalla on siinä oma rivinsä. Säilyttäkää "
        "neljä ylintä riviä sellaisinaan. Älkää yhdistäkö soluja älkääkä käyttäkö kaavoja.",
        "Fyll i fliken Vastaus. Varje försökskommun har en egen rad där. Låt de fyra översta "
        "raderna stå kvar oförändrade. Slå inte ihop celler och använd inga formler.",
    ),
    (
        "Laskentapäivä on päivä, jonka tilannetta luvut kuvaavat, esimerkiksi 31.3.2021. Tärkein "
        "on tilanne siirron hetkellä eli maaliskuussa 2021. Myöhemmän tilanteen voi ilmoittaa "
        "lisärivillä, jolle kunnan tunnistetiedot kopioidaan.",
        "Beräkningsdagen är den dag som siffrorna beskriver, till exempel 31.3.2021. Viktigast är "
        "läget vid överföringen, det vill säga i mars 2021. Ett senare läge kan uppges på en extra "
        "rad, dit kommunens uppgifter kopieras.",
    ),
    (
        "Suunnitelmalla tarkoitetaan työllistymissuunnitelmaa sekä aktivointi-, kotoutumis- tai "
        "muuta sen korvaavaa suunnitelmaa.",
        "Med plan avses en sysselsättningsplan samt en aktiveringsplan, en integrationsplan eller "
        "någon annan plan som ersätter den.",
    ),
    (
        "Ilmoittakaa henkilömäärät kokonaislukuina: ei prosentteja, desimaaleja eikä välilyöntejä. "
        "Voimassa olevien, vanhentuneiden ja tekemättä jääneiden suunnitelmien summan on oltava "
        "sama kuin siirtyneiden asiakkaiden määrä. Nolla tarkoittaa, ettei tapauksia ole; jos "
        "lukuja ei ole saatavilla, jättäkää suunnitelmien kolme saraketta tyhjiksi.",
        "Uppge antalet personer i heltal: inga procenttal, decimaler eller mellanslag. Gällande, "
        "föråldrade och aldrig gjorda planer ska tillsammans vara lika många som de överförda "
        "kunderna. Noll betyder att det inte finns några fall; om siffror inte går att få, lämna "
        "de tre kolumnerna om planer tomma.",
    ),
    (
        "Lukujen lähteeksi merkitään toimisto tai yksikkö, ei koskaan henkilöä. Älkää kirjoittako "
        "lomakkeelle nimiä, sähköpostiosoitteita, puhelinnumeroita tai henkilötunnuksia.",
        "Som källa anges en byrå eller enhet, aldrig en person. Skriv inga namn, e-postadresser, "
        "telefonnummer eller personbeteckningar på blanketten.",
    ),
    (
        "Haastattelukierroksia pidetty: 0, 1 tai 2. Teemat: vastatkaa kyllä tai ei sen mukaan, "
        "onko kunnassanne kokeiltu teemaan liittyviä toimia; tyhjä tarkoittaa, ettei tietoa ole.",
        "Genomförda intervjurundor: 0, 1 eller 2. Teman: svara ja eller nej beroende på om "
        "kommunen har prövat något inom temat; tomt betyder att uppgift saknas.",
    ),
    (
        "Kokeilun ulkopuoliset vertailukunnat kirjataan taulukon lopun tyhjille riveille. Niiltä "
        "ei siirtynyt asiakkaita, joten neljä lukusaraketta jäävät tyhjiksi.",
        "Jämförelsekommuner utanför försöket antecknas på de tomma raderna sist i tabellen. De "
        "överförde inga kunder, så de fyra sifferkolumnerna lämnas tomma.",
    ),
    (
        "Palauttakaa lomake Excel-tiedostona (.xlsx) tai CSV-tiedostona, jonka merkistö on UTF-8. "
        "Tiedosto ei saa olla salasanalla suojattu.",
        "Returnera blanketten som Excelfil (.xlsx) eller som CSV-fil med teckenkodningen UTF-8. "
        "Filen får inte vara lösenordsskyddad.",
    ),
)

# A spreadsheet takes a cell that starts so for a formula. A text that holds the delimiter of the
# reader's locale may be split there, so what follows a semicolon or comma counts as a start too.
_TRIGGER = "[=+\\-@＝＋－＠]"
_START = re.compile(f"(^|[;,])(\\s*)('*)(?={_TRIGGER})")
_MARKED = re.compile(f"(^|[;,])(\\s*)'('*)(?={_TRIGGER})")


def neutralise(text):
    """Return `text` so that no spreadsheet takes it, or a part of it, for a formula.

    An apostrophe goes before every sign that could start one; `restore` takes it off again.

    Examples
    --------
    >>> neutralise("=1+1")
    "'=1+1"
    >>> neutralise("valmennus; -5 päivää")
    "valmennus; '-5 päivää"
    >>> restore(neutralise("=1+1"))
    '=1+1'

    """
    return _START.sub(r"\1\2'\3", text)


def restore(text):
    """Return the text that `neutralise` was given."""
    return _MARKED.sub(r"\1\2\3", text)


def write_template(path, municipalities, format="xlsx", answers=None):
    """Write the form, one row for every trial municipality, and empty rows for comparisons.

    The same arguments give the same bytes. Returns `path`.

    Parameters
    ----------
    path : path-like
        File to write.
    municipalities : DataFrame
        Columns `municipality` (three-digit text), `municipality_name_fi`,
        `municipality_name_sv`, `area_id`, `is_trial` (0 or 1).
    format : {"xlsx", "csv"}
        Workbook with instructions and validation, or text in UTF-8 with byte-order mark and
        semicolons, which is what a Finnish Excel opens by itself.
    answers : DataFrame, optional
        Rows already accepted by `survey.read_returns`, written in place of the empty rows of
        their municipalities, to send a return back for correction.

    """
    rows = _rows(municipalities, answers)
    heads = [
        [f"{FORM} {VERSION}"],
        [column.fi for column in COLUMNS],
        [column.sv for column in COLUMNS],
        NAMES,
    ]
    if format == "csv":
        buffer = io.StringIO()
        writer = csv.writer(buffer, delimiter=";", lineterminator="\r\n")
        writer.writerows([*heads, *([_csv_value(v) for v in row] for row in rows)])
        return store.write_bytes(path, buffer.getvalue().encode("utf-8-sig"))
    if format == "xlsx":
        return store.write_bytes(path, _workbook(heads, rows, municipalities))
    raise KokeiluError(f"Format of the form: found {format!r}, expected 'xlsx' or 'csv'.")


def _rows(municipalities, answers):
    """Return the rows below the header: lists in the order of `COLUMNS`, None where empty."""
    trial = municipalities[municipalities["is_trial"].astype(int) == 1]
    rows = trial.rename(columns={"municipality_name_fi": "municipality_name"})
    rows = rows[["municipality", "municipality_name", "area_id"]]
    if answers is not None:
        rows = rows[~rows["municipality"].isin(answers["municipality"])]
        rows = pd.concat([rows, answers[NAMES]])
    rows = rows.reindex(columns=NAMES)
    rows["outside"] = ~rows["municipality"].isin(trial["municipality"])
    rows = rows.sort_values(["outside", "area_id", "municipality", "date"])[NAMES]
    return [[_value(v) for v in row] for row in rows.astype(object).to_numpy()]


def _value(value):
    """Turn a value of a frame into one that a cell can hold safely."""
    if value is None or value is pd.NA or value is pd.NaT or value != value or value == "":
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return neutralise(value) if isinstance(value, str) else int(value)


def _csv_value(value):
    return value.date().isoformat() if isinstance(value, datetime.datetime) else value


def _workbook(heads, rows, municipalities):
    """Return the form as the bytes of a workbook."""
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter

    book = Workbook()
    guide = book.active
    guide.title = GUIDE
    for line in GUIDANCE:
        guide.append(line)
    for row in guide.iter_rows():
        for cell in row:
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            cell.font = Font(bold=cell.row == 1)
    guide.column_dimensions["A"].width = guide.column_dimensions["B"].width = 70
    sheet = book.create_sheet(SHEET)
    lists = book.create_sheet(LISTS)
    for row in [*heads, *rows]:
        sheet.append(row)
    last = LABEL_ROWS + len(rows) + SPARE_ROWS
    for number, column in enumerate(COLUMNS, start=1):
        letter = get_column_letter(number)
        sheet.column_dimensions[letter].width = column.width
        for row in range(2, LABEL_ROWS + 1):
            cell = sheet.cell(row, number)
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            cell.font = Font(bold=row < LABEL_ROWS, color="595959" if row == LABEL_ROWS else None)
            cell.fill = PatternFill("solid", fgColor="DDEBF7")
        style = {"date": "d.m.yyyy", "count": "0", "round": "0"}.get(column.kind, "@")
        for row in range(LABEL_ROWS + 1, last + 1):
            sheet.cell(row, number).number_format = style
    sheet["A1"].font = Font(bold=True)
    sheet.freeze_panes = sheet.cell(LABEL_ROWS + 1, 3)
    book.active = book.index(sheet)  # opens where the answers go
    guide.sheet_view.tabSelected = False

    lists.append(["kyllä/ei – ja/nej", "kierros – runda", "kuntanumero", "kunta", "kommun"])
    codes = municipalities.sort_values("municipality")
    codes = codes[["municipality", "municipality_name_fi", "municipality_name_sv"]]
    columns = [["kyllä", "ei", "ja", "nej"], [0, 1, 2], *(codes[name] for name in codes)]
    for row in itertools.zip_longest(*columns):
        lists.append([_value(v) for v in row])
    _validate(sheet, last, len(codes) + 1)
    return _fixed_bytes(book)


def _validate(sheet, last, last_code):
    """Attach the rules that a spreadsheet programme checks while the form is filled in."""
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    def one_of(cells):
        return {"type": "list", "formula1": f"{LISTS}!{cells}"}

    def at_most(length):
        return {"type": "textLength", "operator": "lessThanOrEqual", "formula1": str(length)}

    first, last_day = (f"DATE({d.year},{d.month},{d.day})" for d in (FIRST_DAY, LAST_DAY))
    days = {"type": "date", "operator": "between", "formula1": first, "formula2": last_day}
    number = {"type": "whole", "operator": "greaterThanOrEqual", "formula1": "0"}
    limit = "Enintään {0} merkkiä – Högst {0} tecken"
    rules = {
        "code": (
            one_of(f"$C$2:$C${last_code}"),
            "Numero luettelosta – Nummer ur listan",
        ),
        "date": (days, "Päivä – Dag: 1.3.2021–31.12.2024"),
        "count": (number, "Kokonaisluku, vähintään 0 – Heltal, minst 0"),
        "office": (
            at_most(OFFICE_LIMIT),
            f"Enintään {OFFICE_LIMIT} merkkiä – Högst {OFFICE_LIMIT} tecken",
        ),
        "round": (one_of("$B$2:$B$4"), "0, 1, 2"),
        "yes_no": (one_of("$A$2:$A$5"), "kyllä tai ei – ja eller nej"),
        "text": (at_most(TEXT_LIMIT), limit.format(TEXT_LIMIT)),
    }
    for kind, (rule, message) in rules.items():
        check = DataValidation(**rule, allow_blank=True, showErrorMessage=True, error=message)
        check.errorTitle = "Tarkista – Kontrollera"
        for number, column in enumerate(COLUMNS, start=1):
            if column.kind == kind:
                letter = get_column_letter(number)
                check.add(f"{letter}{LABEL_ROWS + 1}:{letter}{last}")
        sheet.add_data_validation(check)


def _fixed_bytes(book):
    """Return the workbook as bytes that depend on its content alone."""
    from openpyxl.writer.excel import ExcelWriter

    book.properties.created = book.properties.modified = STAMP
    book.properties.creator = "kokeilu_analysis"
    loose, fixed = io.BytesIO(), io.BytesIO()
    # Workbook.save would put the clock in; the writer under it leaves the properties alone.
    ExcelWriter(book, zipfile.ZipFile(loose, "w", zipfile.ZIP_DEFLATED)).save()
    with zipfile.ZipFile(loose) as source, zipfile.ZipFile(fixed, "w") as target:
        for name in source.namelist():
            part = zipfile.ZipInfo(name, date_time=STAMP.timetuple()[:6])
            part.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(part, source.read(name))
    return fixed.getvalue()
