"""The pack: everything of one language in one file that explains itself, the same each time."""

import hashlib
import io
import os
import re
import zipfile
from functools import cache

import pytest
from documents import ENGLISH, LANGUAGES, keys

from kokeilu_analysis import __version__, paths, results, store, trace
from kokeilu_analysis.errors import DataError
from kokeilu_analysis.report import figures, memo, pack

VINTAGES = ["2025-02-25", "2022-05-01", "2023-12-05"]
TABLES = ["03_did", "area_profiles", "01_groups"]
EVERY = pytest.mark.parametrize("lang", LANGUAGES)
AREAS = sorted(results.read("area_profiles")["area_id"])


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder of reports with a stand-in for every exported file, all languages together."""
    folder = tmp_path_factory.mktemp("reports")
    for lang in LANGUAGES:
        names = [f"memo_{lang}.pdf", f"areas_{lang}.pdf", *(f"area_{a}_{lang}.pdf" for a in AREAS)]
        for figure_id in figures.register():
            ends = (f"_{lang}.svg", f"_{lang}.png", f"_{lang}_esitys.png", ".csv")
            names += [f"figures/{figure_id}{end}" for end in ends]
        for name in names:
            store.write_bytes(folder / name, f"content of {name}".encode())
    store.write_bytes(folder / "figures" / "made.json", b"{}")
    store.write_bytes(folder / "area_KK99_fi.pdf", b"of an earlier study")
    return folder


@pytest.fixture(scope="module")
def packs(exported):
    return {lang: pack.build(lang, TABLES, VINTAGES, exported) for lang in LANGUAGES}


@pytest.fixture(scope="module")
def opened(packs):
    return {lang: zipfile.ZipFile(path) for lang, path in packs.items()}


@cache
def readme(opened):
    name = next(n for n in opened.namelist() if n.endswith("README.txt"))
    return opened.read(name).decode("utf-8-sig").replace("\r\n", "\n")


@EVERY
def test_holds_the_files_of_its_language_as_they_were_exported(opened, exported, lang):
    names = {n.rpartition("/")[2]: n for n in opened[lang].namelist()}
    assert len(names) == len(opened[lang].namelist())
    for path in exported.rglob("*"):
        of_others = any(f"_{other}" in path.stem for other in set(LANGUAGES) - {lang})
        alien = path.suffix not in (".pdf", ".svg", ".png", ".csv") or "KK99" in path.name
        assert (path.name in names) == (not of_others and not alien), path.name
        if path.name in names:
            assert opened[lang].read(names[path.name]) == path.read_bytes()
    licence = (paths.ROOT / "data" / "LICENSE").read_bytes()
    assert opened[lang].read(names["LICENSE.txt"]) == licence
    for table in TABLES:
        assert (
            opened[lang].read(names[f"{table}.csv"])
            == (paths.RESULTS / f"{table}.csv").read_bytes()
        )


@EVERY
def test_every_file_is_in_the_list_with_its_checksum(opened, lang):
    top = f"kokeilu-{lang}/"
    listed = opened[lang].read(f"{top}SHA256SUMS.txt").decode("utf-8")
    rows = [line.split("  ", 1) for line in listed.splitlines()]
    assert [name for _, name in rows] == sorted(name for _, name in rows)
    assert {top + name for _, name in rows} | {f"{top}SHA256SUMS.txt"} == set(
        opened[lang].namelist()
    )
    for digest, name in rows:
        assert hashlib.sha256(opened[lang].read(top + name)).hexdigest() == digest


@EVERY
def test_names_are_safe_and_every_program_reads_their_letters(opened, lang):
    for entry in opened[lang].infolist():
        parts = entry.filename.split("/")
        assert parts[0] == f"kokeilu-{lang}" and 2 <= len(parts) <= 3
        assert all(part and part not in (".", "..") for part in parts)
        assert not re.search(r'[\\:*?"<>|\x00-\x1f]|[. ]$', entry.filename)
        assert len(entry.filename) < 100
        assert entry.filename.isascii() or entry.flag_bits & 0x800  # the names are UTF-8
    if lang == "sv":
        assert any("områdessidor" in name for name in opened[lang].namelist())


@EVERY
def test_dates_rights_order_and_way_of_storing_are_fixed(opened, lang):
    entries = opened[lang].infolist()
    assert [e.filename for e in entries] == sorted(e.filename for e in entries)
    for entry in entries:
        assert entry.date_time == (2025, 2, 25, 0, 0, 0)  # the newest table state
        assert entry.external_attr >> 16 == 0o100644 and entry.create_system == 3
        assert entry.compress_type == zipfile.ZIP_STORED and not entry.extra


@EVERY
def test_the_same_content_gives_the_same_bytes(packs, exported, lang):
    before, stamp = packs[lang].read_bytes(), packs[lang].stat().st_mtime_ns
    pack.build(lang, reversed(TABLES), sorted(VINTAGES), exported)
    assert packs[lang].read_bytes() == before
    assert packs[lang].stat().st_mtime_ns == stamp  # it was not even written


def test_a_file_that_was_not_exported_is_named(exported, tmp_path):
    with pytest.raises(DataError, match=r"memo_fi\.pdf.*Run `kokeilu export`"):
        pack.build("fi", TABLES, VINTAGES, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_pack_that_cannot_be_written_leaves_the_earlier_one(exported, tmp_path, monkeypatch):
    for path in (p for p in exported.rglob("*") if p.is_file() and p.suffix != ".zip"):
        store.write_bytes(tmp_path / path.relative_to(exported), path.read_bytes())
    earlier = pack.build("sv", TABLES, VINTAGES, tmp_path).read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError):
        pack.build("sv", TABLES[:1], VINTAGES, tmp_path)
    monkeypatch.undo()
    assert (tmp_path / "kokeilu-sv.zip").read_bytes() == earlier
    assert not list(tmp_path.glob(".kokeilu*"))


@EVERY
def test_the_readme_names_version_vintages_answer_figures_and_folders(opened, lang):
    text = " ".join(readme(opened[lang]).split(" "))
    joined = re.sub(r"\n\s*", " ", text)
    dates = {"fi": "1.5.2022, 5.12.2023 ja 25.2.2025", "sv": "1.5.2022, 5.12.2023 och 25.2.2025"}
    assert dates.get(lang, "1 May 2022, 5 December 2023 and 25 February 2025") in joined
    assert f" {__version__}." in joined
    for sentence in memo.answer(lang):
        assert sentence in joined
    for figure_id in figures.register():
        assert figures.said(figure_id, lang).headline in joined
    for folder in pack.texts(lang)["folders"].values():
        assert f"- {folder}/: " in text
        assert any(f"/{folder}/" in name for name in opened[lang].namelist())
    assert f" {len(AREAS)} " in joined and f" {len(TABLES)} " in joined


@EVERY
def test_the_readme_opens_right_in_every_editor(opened, lang):
    raw = opened[lang].read(f"kokeilu-{lang}/README.txt")
    assert raw.startswith(b"\xef\xbb\xbf") and raw.endswith(b"\r\n")
    assert raw.count(b"\n") == raw.count(b"\r\n")
    assert max(len(line) for line in raw.decode("utf-8-sig").splitlines()) <= 78


@EVERY
def test_the_readme_is_written_in_its_language(opened, lang):
    text = readme(opened[lang])
    assert not re.search(r"[{}]|\bnan\b|\bNone\b", text)
    assert not re.search(r"(?<![\w])-\d", text)  # a hyphen for minus
    # versions of licence and program, dates and the command's own words are the same everywhere
    names = r"CC BY 4\.0|\b\d+\.\d+\.\d+\b|SHA-?256\w*|\b\w+\.(?:pdf|txt|zip)\b"
    plain = re.sub(names, "", text)
    if lang == "en":
        assert not re.search(r"\d,\d(?!\d\d)|\d[ \u00a0]%", plain)
    else:
        assert not re.search(r"\d\.\d|\d ?%", plain)
        found = set(re.findall(r"[a-zåäö]+", plain.lower())) & set(ENGLISH)
        assert not found


def test_the_three_languages_have_words_for_the_same_things():
    assert keys(pack.texts("fi")) == keys(pack.texts("sv")) == keys(pack.texts("en"))


def test_the_tables_of_the_pack_are_those_that_memo_areas_and_figures_rest_on():
    used = trace.used()
    for figure_id in figures.register():
        assert set(figures.tables(figure_id)) <= set(used)
    assert {"04_replies", "05_honest", "03_area_series", "area_profiles"} <= set(used)
    assert not [name for name in used if name.startswith(("simulation", "explorer"))]
    assert trace.vintages() == sorted(VINTAGES)


def test_a_pack_can_be_opened_from_memory_and_tests_whole(packs):
    for path in packs.values():
        assert zipfile.ZipFile(io.BytesIO(path.read_bytes())).testzip() is None
