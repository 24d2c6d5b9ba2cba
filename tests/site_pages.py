"""The rendered site and a real browser, made once for the tests of site and explorer."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest

from kokeilu_analysis import paths, trace
from kokeilu_analysis.report import export, figures, site

CHROMIUM = "/usr/bin/chromium"


@cache
def pictures():
    """Folder with the exported figures: that of the study if it is whole, or a fresh one."""
    needed = [paths.FIGURES / name for i in figures.register() for name in site._files(i)]
    if all(path.exists() for path in needed):
        return paths.FIGURES
    folder = _folder()
    export.figures(folder)
    return folder


@cache
def rendered():
    """Folder of the site, rendered from the committed notebooks and results."""
    folder = _folder()
    site.render(trace.chain, folder, pictures=pictures())
    return folder


@cache
def chromium():
    """A headless Chromium; the test is skipped with a reason where there is none."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"{CHROMIUM} is not installed (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    driver = playwright.sync_playwright().start()
    browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    atexit.register(driver.stop)
    atexit.register(browser.close)
    return browser


def _folder():
    folder = Path(tempfile.mkdtemp(prefix="kokeilu-site-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
