"""Would the fast tests notice a fault? Run `.venv/bin/python checks/mutate.py [GROUP|MODULE …]`.

A mutant is one small fault in one module of `methods` (or the disclosure gate): a comparison moved
by its boundary, a sign, a constant, a condition turned round, a statement left out. It is *killed*
if a fast test fails, runs out of its time or of memory. Every mutant runs in a forked process that
already holds the slow libraries; it imports the package from a copy of the tree, the faulty module
from memory, and runs only the fast tests that reach the faulty line (measured once, cached in the
folder for temporary files by the content of code and tests), the quickest first, until one fails.
Tests that take longer than `SLOW` or that measure time are left out.

`--sample N --seed S` draws N mutants of each group instead of all; `--only ID` runs named ones.

`mutants_accepted.toml` lists survivors that were looked at and left, by their keys and with the
reason: no fault (`equivalent`), only `speed`, or a `tolerance` that no known input feels. They are
run like all others, count as survivors in the share, and have a column of their own. A key there
that no mutant has any more is said and makes the exit 1; so is one that is killed, without that.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from importlib import import_module, machinery, util
from pathlib import Path

import coverage
import hypothesis
import pytest
from faults import commit, mutants

ROOT = Path(__file__).resolve().parents[1]
GATE = "kokeilu_analysis/report/disclosure.py"
ACCEPTED = ROOT / "checks/mutants_accepted.toml"
KINDS = ("equivalent", "speed", "tolerance")
TARGET = 0.85
GROUPS = {
    "backlog": "backlog clearing conflicts constraints order program replies statements",
    "lag": "exposure lag lag_input lag_line lag_replies lag_routes lag_sampling line_bounds"
    " line_choices line_inequalities line_losses line_region line_steep measurement restrictions",
    "compare": "adjusted compare donors fixed_effects frames synthetic",
    "inference": "bootstrap clusters inference intervals multiple permutation sensitivity",
    "disclosure": "complementary crowded linked_cells suppression disclosure",
}
TESTS = (
    "adjusted areas backlog backlog_exact bootstrap cell_bounds clearing compare crowded defaults"
    " disclosure disclosure_parts docstrings estimates exposure formulas hiding inference"
    " intervals known_answers lag lag_routes lag_solver line_search measurement multiple program"
    " replies restrictions sensitivity synthetic variants"
)
PRELOADED = (  # what the package and its tests import inside functions and pay for every time
    "scipy.optimize scipy.stats scipy.linalg scipy.sparse statsmodels.api pyfixest diff_diff"
    " hypothesis pandera.pandas openpyxl ibis matplotlib.pyplot pyscipopt pyarrow.parquet coverage"
)
MUTATED = {stem for group in GROUPS.values() for stem in group.split()}
SLOW = 12.0  # seconds, measured while lines are traced: a longer test is not a fast one
PATIENCE = 10  # times its clean seconds that a test may take …
GRACE = 5.0  # … and seconds on top, because other work may hold the processor
BUDGET = 30.0  # seconds of clean tests for one mutant
MEMORY = 4 << 30


class Faulty(machinery.SourceFileLoader):
    """Finds and loads one module from a faulty tree, before the usual finders see it."""

    def __init__(self, name, path, tree):
        super().__init__(name, str(path))
        self.tree = tree

    def find_spec(self, name, path=None, target=None):
        """Answer for the one module."""
        if name == self.name:
            return util.spec_from_file_location(name, self.path, loader=self)
        return None

    def get_code(self, name):
        """Compile the tree instead of reading the file."""
        return compile(self.tree, self.path, "exec")


def forked(work):
    """What `work()` returns in a silent child process (None if it died), and how it ended."""
    handle, name = tempfile.mkstemp(prefix="mutate-")
    pid = os.fork()
    if not pid:
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.setsid()
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nowhere, stream)
            os.write(handle, json.dumps(work()).encode())
        finally:
            os._exit(0)
    try:
        _, status = os.waitpid(pid, 0)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # the child and whatever its tests have started
    os.close(handle)
    text = Path(name).read_text(encoding="utf-8")
    os.unlink(name)
    return (json.loads(text) if text else None), status


def pytested(files, plugin, *options):
    """Exit code of pytest in this process."""
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)  # no shrinking
    hypothesis.settings.register_profile(
        "mutate", database=None, derandomize=True, deadline=None, phases=phases
    )
    hypothesis.settings.load_profile("mutate")
    common = ["-q", "-o", "addopts=", "--tb=no", "-p", "no:cacheprovider", "--rootdir=."]
    return int(pytest.main([*common, *options, *files], plugins=[plugin]))


class Measuring:
    """Plugin: seconds of each test, the lines that it reaches, and which tests cannot be used."""

    def __init__(self, tracer):
        self.tracer, self.current = tracer, ""
        self.seconds, self.fixtures, self.unfit = {}, {}, set()

    def pytest_runtest_logstart(self, nodeid):
        """Lines are this test's from here on."""
        self.current, self.seconds[nodeid] = nodeid, 0.0
        self.tracer.switch_context(nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef):
        """Lines of a fixture that tests share belong to all of them."""
        if fixturedef.scope != "function":
            self.tracer.switch_context(f"fixture {fixturedef.argname}")
        made = yield
        self.tracer.switch_context(self.current)
        return made

    def pytest_runtest_setup(self, item):
        """Note the fixtures; a test with a clock of its own cannot be used."""
        self.fixtures[item.nodeid] = item.fixturenames
        code = getattr(getattr(item, "function", None), "__code__", None)
        if code and {"perf_counter", "process_time", "monotonic"} & set(code.co_names):
            self.unfit.add(item.nodeid)

    def pytest_runtest_logreport(self, report):
        """Add up set-up, call and tear-down."""
        self.seconds[report.nodeid] += report.duration
        if report.outcome != "passed":
            self.unfit.add(report.nodeid)


def measured(file):
    """Each fit test of a file: its seconds and lines by module; and the lines of its collection."""
    tracer = coverage.Coverage(
        data_file=None, config_file=False, include=["kokeilu_analysis/methods/*", GATE]
    )
    plugin = Measuring(tracer)
    tracer.start()
    pytested([file], plugin)
    tracer.stop()
    data, reached = tracer.get_data(), {}
    for path in data.measured_files():
        if Path(path).stem not in MUTATED:
            continue
        for line, contexts in data.contexts_by_lineno(path).items():
            for context in contexts:
                reached.setdefault(context, {}).setdefault(Path(path).stem, set()).add(line)

    def lines(*contexts):
        found = {}
        for context in contexts:
            for module, some in reached.get(context, {}).items():
                found[module] = sorted({*found.get(module, ()), *some})
        return found

    return {
        "collection": lines(""),
        "unfit": sorted(plugin.unfit),
        "tests": {
            test: {
                "seconds": round(seconds, 3),
                "lines": lines(test, *(f"fixture {name}" for name in plugin.fixtures[test])),
            }
            for test, seconds in plugin.seconds.items()
            if test not in plugin.unfit and seconds <= SLOW
        },
    }


def fast_tests(where):
    """Measurement of every test file, from the cache where tests and reached modules are the same.

    The cache lies in the folder for temporary files and may be deleted.
    """
    cache = Path(tempfile.gettempdir(), "mutate-measured")
    cache.mkdir(exist_ok=True)
    found = {}
    for name in TESTS.split():
        file = f"tests/test_{name}.py"
        text = (where / file).read_text(encoding="utf-8")
        helpers = [p for p in sorted(where.glob("tests/*.py")) if f"from {p.stem} import" in text]
        own = checksum(where / file, *helpers)
        kept = cache / f"{name}-{own[:16]}.json"
        answer = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else None
        now = {stem: checksum(where / path_of(stem)) for stem in MUTATED}
        if answer is None or any(now[stem] != was for stem, was in answer["reached"].items()):
            print(f"measuring {file}", file=sys.stderr, flush=True)
            answer, _ = forked(lambda file=file: measured(file))
            if answer is None:
                raise SystemExit(f"{file}: cannot be measured; run it with pytest and look")
            reached = {stem for own in answer["tests"].values() for stem in own["lines"]}
            answer["reached"] = {stem: now[stem] for stem in sorted(reached)}
            kept.write_text(json.dumps(answer), encoding="utf-8")
        found[file] = answer
        for test in answer["unfit"]:
            print(f"left out: {test}", file=sys.stderr)
    return found


def checksum(*paths):
    """Checksum of the contents of files."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def reaching(mutant, tests):
    """Seconds of the tests that reach the mutant, quickest first, as far as `BUDGET` goes."""
    found = {}
    for measurement in tests.values():
        collected = measurement["collection"].get(mutant.module, ())
        for test, own in measurement["tests"].items():
            lines = own["lines"].get(mutant.module, ())
            if mutant.lines is None:
                reached = bool(lines)
            else:
                first, last = mutant.lines
                reached = any(first <= line <= last for line in (*lines, *collected))
            if reached:
                found[test] = own["seconds"]
    chosen, total = {}, 0.0
    for test in sorted(found, key=found.get):
        total += found[test]
        if total > BUDGET:
            break
        chosen[test] = found[test]
    return chosen


class Running:
    """Plugin: the chosen tests, quickest first, each within its time; and which one failed."""

    def __init__(self, seconds):
        self.seconds, self.failed = seconds, None

    def pytest_collection_modifyitems(self, items):
        """Choose and order."""
        chosen = [item for item in items if item.nodeid in self.seconds]
        items[:] = sorted(chosen, key=lambda item: self.seconds[item.nodeid])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        """Start the clock; its alarm ends the process."""
        signal.setitimer(signal.ITIMER_REAL, PATIENCE * self.seconds[item.nodeid] + GRACE)

    def pytest_runtest_logreport(self, report):
        """Note the first failure."""
        if report.failed and not self.failed:
            self.failed = report.nodeid


def outcome(mutant, tree, path, tests):
    """What becomes of a mutant: killed, timeout or survived; and by which test."""
    chosen = reaching(mutant, tests)
    if not chosen:
        return "survived", "reached by no fast test"

    def work():
        commit(mutant.edit)
        sys.meta_path.insert(0, Faulty(path[:-3].replace("/", "."), os.path.abspath(path), tree))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, 60)  # for imports and collection
        plugin = Running(chosen)
        code = pytested(sorted({test.partition("::")[0] for test in chosen}), plugin, "-x")
        return code, plugin.failed or "at import"

    answer, status = forked(work)
    if answer is None:
        alarm = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
        return ("timeout", "") if alarm else ("killed", "the process ended")
    code, test = answer
    return ("survived", f"{len(chosen)} tests pass") if code == 0 else ("killed", test)


def path_of(stem):
    """Path of a module in the tree."""
    return GATE if stem == Path(GATE).stem else f"kokeilu_analysis/methods/{stem}.py"


def copied(top):
    """A copy of the tree to run in, first on the path of imports."""
    where = Path(top, "copy")
    ignored = shutil.ignore_patterns(".*", "__pycache__", "reports", "statfin")
    shutil.copytree(ROOT, where, ignore=ignored)
    os.chdir(where)
    sys.path[:0] = [str(where)]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    return where


def show(table):
    """Print the table of results, as far as they go; the intervals are exact binomial ones."""
    from scipy.stats import binomtest

    columns = "group | mutants | tried | killed | out of time | survived | of these accepted"
    print(f"\n| {columns} | share | 95 % |")
    print("| " + " | ".join(["---"] * 9) + " |")
    for group, total, results, left in table:
        killed, late, alive = map(results.count, ("killed", "timeout", "survived"))
        if results:
            ends = binomtest(killed + late, len(results)).proportion_ci(method="exact")
            counts = total, len(results), killed, late, alive, left.total()
            print(
                f"| {group} | {' | '.join(map(str, counts))} "
                f"| {1 - alive / len(results):.1%} | {ends.low:.1%} to {ends.high:.1%} |"
            )


def accepted():
    """Kind of each survivor that was looked at and left, by its key."""
    found = {}
    for entry in tomllib.loads(ACCEPTED.read_text(encoding="utf-8"))["accepted"]:
        kind, reason = entry["kind"], entry["reason"]
        if kind not in KINDS or not reason:
            raise SystemExit(f"{ACCEPTED.name}: {kind!r} with {reason!r}; one of {KINDS}, a reason")
        for key in entry["mutants"]:
            if key in found:
                raise SystemExit(f"{ACCEPTED.name}: {key} is there twice")
            found[key] = kind
    return found


def drawn(pool, options):
    """The mutants to try, in random order, so that what is done when one stops is a sample too."""
    if options.only:
        return [m for m in pool if m.name.startswith(tuple(options.only))]
    size = min(options.sample or len(pool), len(pool))
    return random.Random(options.seed).sample(pool, size)


def main():
    """Run the mutants asked for; print survivors and the table; exit 1 below the target."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("modules", nargs="*", default=list(GROUPS), metavar="GROUP|MODULE")
    asked.add_argument("--sample", type=int, help="mutants drawn of each group (default: all)")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--only", nargs="+", metavar="ID", help="run mutants whose ID starts so")
    asked.add_argument("--list", action="store_true", help="print mutants, run nothing")
    options = asked.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends as Ctrl-C does: tidily
    table, low, tests, known = [], False, None, accepted()
    with tempfile.TemporaryDirectory(prefix="mutate-") as top, contextlib.ExitStack() as at_end:
        where = copied(top)
        for group in options.modules:
            trees, pool, results = {}, [], []
            for stem in GROUPS.get(group, group).split():
                path = path_of(stem)
                tree, found = mutants(stem, (where / path).read_text(encoding="utf-8"))
                trees[stem] = tree, path
                pool += found
                owned = {key for key in known if key.partition(":")[0].partition(".")[0] == stem}
                lapsed = sorted(owned - {mutant.key for mutant in found})
                for key in lapsed:
                    print(f"- accepted, but there is no such mutant any more: {key}", flush=True)
                low |= bool(lapsed)
            if options.list:
                print("\n".join(f"{m.name}\n  {m.key}" for m in drawn(pool, options)))
                continue
            if tests is None:
                for name in PRELOADED.split():
                    import_module(name)
                tests = fast_tests(where)
                at_end.callback(show, table)
            left = Counter()
            table.append((group, len(pool), results, left))
            for number, mutant in enumerate(drawn(pool, options), 1):
                began = time.perf_counter()
                result, why = outcome(mutant, *trees[mutant.module], tests)
                results.append(result)
                line = (
                    f"{number} {time.perf_counter() - began:.1f} s {result}: {mutant.name} ({why})"
                )
                print(line, file=sys.stderr, flush=True)
                kind = known.get(mutant.key)
                if result == "survived":
                    left.update([kind] if kind else [])
                    said = f"accepted, {kind}" if kind else mutant.key
                    print(f"- {mutant.name} ({why})\n  {said}", flush=True)
                elif kind:
                    print(f"- {mutant.name} is accepted, but {result} ({why})", flush=True)
            low |= results.count("survived") > (1 - TARGET) * len(results)
    return int(low)


if __name__ == "__main__":
    sys.exit(main())
