"""Has a locked package a known vulnerability? Run `.venv/bin/python checks/audit.py`.

pip-audit, installed for the occasion into a folder of its own, asks PyPI about every package of
requirements.lock that this platform installs. Exit 1 if one has a known vulnerability. Where
nobody answers nothing is known: that is said, and is exit 0, because a build must not depend on it.
(pip-audit alone takes "never heard of this package" for "nothing known against it".)
"""

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
PATIENCE = 300  # seconds for each of the two steps


def asked(lock):
    """Return what pip-audit found of every locked package, or None if it could not ask."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        tool = Path(folder, "Scripts" if sys.platform == "win32" else "bin")
        install = [
            tool / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--retries",
            "1",
            "pip-audit",
        ]
        audit = [tool / "pip-audit", "--requirement", lock, "--no-deps", "--disable-pip"]
        audit += ["--format", "json", "--progress-spinner", "off"]
        try:
            subprocess.run(install, capture_output=True, check=True, timeout=PATIENCE)
            done = subprocess.run(audit, capture_output=True, text=True, timeout=PATIENCE)
            return json.loads(done.stdout)["dependencies"]
        except (subprocess.SubprocessError, OSError, ValueError, KeyError):
            return None


def verdict(packages):
    """Return the exit code and what there is to say.

    >>> verdict([{"name": "a", "version": "1", "vulns": []}])
    (0, ['1 locked packages asked about, none with a known vulnerability.'])
    >>> verdict([{"name": "a", "skip_reason": "not found"}])
    (0, ['Not audited: the advisory service could not be asked. Nothing is known either way.'])
    """
    answered = [package for package in packages or [] if "vulns" in package]
    if not answered:
        return 0, [
            "Not audited: the advisory service could not be asked. Nothing is known either way."
        ]
    said = [
        f"{package['name']} {package['version']}: {found['id']}, mended in "
        f"{', '.join(found.get('fix_versions', [])) or 'no version yet'}"
        for package in answered
        for found in package["vulns"]
    ]
    bad = len({line.partition(":")[0] for line in said})
    said.append(
        f"{len(answered)} locked packages asked about, {bad or 'none'} with a known vulnerability."
    )
    if silent := len(packages) - len(answered):
        said.append(f"No answer about {silent} more.")
    return int(bad > 0), said


def main():
    """Audit the lock; the exit code is the verdict's."""
    code, said = verdict(asked(LOCK))
    print("\n".join(said))
    return code


if __name__ == "__main__":
    sys.exit(main())
