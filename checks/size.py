"""How large is the environment? Run `.venv/bin/python checks/size.py` in a fresh one.

Prints, for what the study needs, with the tools of its developers and with the extra for Spark:
packages that are there for it, MiB of the files that they list as theirs (byte code that pip wrote
included), and the ten largest. Whatever else is installed is not counted; Python itself is not.
"""

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
NEEDED = PROJECT["project"]["dependencies"]
ENVIRONMENTS = {
    "default": NEEDED,
    "with dev": NEEDED + PROJECT["dependency-groups"]["dev"],
    "with spark": NEEDED + PROJECT["project"]["optional-dependencies"]["spark"],
}


def reached(requirements):
    """Return the names of all packages that requirements lead to on this platform."""
    waiting, found = [Requirement(text) for text in requirements], set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        for extra in ("", *wanted.extras):
            if (name, extra) in found:
                continue
            found.add((name, extra))
            for text in distribution(name).requires or []:
                next_one = Requirement(text)
                if next_one.marker is None or next_one.marker.evaluate({"extra": extra}):
                    waiting.append(next_one)
    return {name for name, _ in found}


def size(name):
    """Return the MiB of a package's files."""
    paths = [file.locate() for file in distribution(name).files or []]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 2**20


def main():
    """Print a table of the environments; one that is not whole here says what it lacks."""
    print("| environment | packages | MiB | the ten largest |\n| --- | --- | --- | --- |")
    for title, requirements in ENVIRONMENTS.items():
        try:
            sizes = {name: size(name) for name in reached(requirements)}
        except PackageNotFoundError as error:
            print(f"| {title} | | | not here: {error.name} |")
            continue
        largest = sorted(sizes, key=sizes.get, reverse=True)[:10]
        named = ", ".join(f"{name} {sizes[name]:.0f}" for name in largest)
        print(f"| {title} | {len(sizes)} | {sum(sizes.values()):,.0f} | {named} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
