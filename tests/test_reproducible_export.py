"""The same study gives the same bytes in another folder, for another user, locale and time zone."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from kokeilu_analysis import paths

FIGURES = ("F4", "F10")
# memo, area pages, two figures in every form, and the pack of them, all in Finnish
EXPORT = f"""
import sys
from pathlib import Path
from kokeilu_analysis import paths, trace
from kokeilu_analysis.report import area_pages, export, figures, memo, pack

folder, lang = Path(sys.argv[1]), "fi"
memo.build(lang, folder)
area_pages.build(lang, folder)
for figure_id in {FIGURES}:
    for each in (lang, "en"):
        export._export_one(figure_id, each, folder / "figures", paths.RESULTS)
for form in pack.FORMS:  # stand-ins for the other figures
    for figure_id in figures.register():
        path = folder / "figures" / form.format(figure_id, lang)
        path.exists() or path.write_bytes(b"")
pack.build(lang, trace.used(), trace.vintages(), folder)
"""
PARTS = ("kokeilu_analysis", "data", "notebooks", "study.toml", "requirements.lock")
COPY = shutil.ignore_patterns("__pycache__", "statfin", ".ipynb_checkpoints")


def installed_locales():
    try:
        listed = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return [name for name in listed.stdout.split() if name.lower().startswith("fi_fi.utf")]


def elsewhere(home, locale, zone, user, seed):
    """A copy of the study and the surroundings of someone else."""
    study = home / f"Tutkimus, {user}"
    study.mkdir()
    for part in PARTS:
        source = paths.ROOT / part
        if source.is_dir():
            shutil.copytree(source, study / part, ignore=COPY)
        else:
            shutil.copy(source, study)
    own = {"HOME": str(home), "USER": user, "LOGNAME": user, "TZ": zone, "LC_ALL": locale}
    # without these Python would take UTF-8 whatever the locale says
    strict = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONHASHSEED": seed}
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")}
    return study, kept | own | strict


def exported(folder, study, environment):
    """Export in a process of its own; return file → bytes."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", EXPORT, str(folder)],
        cwd=study,
        env=environment | {"PYTHONPATH": str(study)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """The export made here, and by others elsewhere, side by side."""
    places = {"here": (paths.ROOT, dict(os.environ))}
    for name, locale, zone, user, seed in (
        ("C", "C", "Pacific/Kiritimati", "aino", "1"),
        *(("fi_FI", found, "Europe/Helsinki", "Väinö", "2") for found in installed_locales()[:1]),
    ):
        places[name] = elsewhere(tmp_path_factory.mktemp(user), locale, zone, user, seed)
    folders = [tmp_path_factory.mktemp("reports") for _ in places]
    with ThreadPoolExecutor(2) as pool:
        made = pool.map(exported, folders, *zip(*places.values(), strict=True))
    return dict(zip(places, made, strict=True)), places


def test_the_export_is_whole(exports):
    here = exports[0]["here"]
    assert {"memo_fi.pdf", "areas_fi.pdf", "area_KK25_fi.pdf", "kokeilu-fi.zip"} <= set(here)
    assert {f"figures/{i}_fi_esitys.png" for i in FIGURES} <= set(here)


@pytest.mark.parametrize("place", ["C", "fi_FI"])
def test_another_folder_user_locale_and_time_zone_give_the_same_bytes(exports, place):
    if place not in exports[0]:
        pytest.skip("the locale fi_FI.UTF-8 is not installed (Debian: locales)")
    here, there = exports[0]["here"], exports[0][place]
    assert set(here) == set(there)
    assert [name for name in here if here[name] != there[name]] == []


def test_no_export_names_a_folder_or_a_user(exports):
    for made, (study, environment) in zip(exports[0].values(), exports[1].values(), strict=True):
        names = [str(study), environment.get("HOME", "")]
        for name in (n.encode() for n in names if len(n) > 1):
            assert not [file for file, content in made.items() if name in content]
