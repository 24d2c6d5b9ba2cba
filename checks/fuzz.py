"""Does any file break a reader? `.venv/bin/python checks/fuzz.py [READER …] --inputs N --seed S`.

Valid files are spoiled (`spoil`), given to the readers and judged: only the package's own
errors may come out, each naming the file; no input may take over 5 s of work or bring the
process over 1 GiB, nothing may be written outside the folder that is read, and what is accepted
must make sense. Inputs that end where no earlier one ended are kept and spoiled further. Prints a
table and exits with 1 if something was found; `--keep FOLDER` saves the inputs that did it.

Work is seconds of the processor: on a machine that others use, five seconds of the clock can be
a third of one of work. Who waits without working is stopped after 30 s of the clock. With TMPDIR
in memory (/dev/shm) no input waits for a disk. Runs with different seeds give different inputs,
so that their numbers can be added up.
"""

import argparse
import gc
import json
import math
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each thread would reserve address space

import spoil
from fuzz_readers import READERS

from kokeilu_analysis import paths, store
from kokeilu_analysis.errors import KokeiluError

PATIENCE, MEMORY, CORPUS = 5.0, 1 << 30, 400  # seconds of work an input, bytes, inputs kept
BOMB = 100  # number of the input from which on each bomb comes once: they are always the same
WAIT = 6  # times as long by the clock
HEADS = ("reader", "inputs", "accepted", "refused", "other exceptions", "over 5 s or crashed")
HEADS += ("slowest s", "peak MiB", "files written outside")


class Tally(NamedTuple):
    """What a campaign found; `findings` are (kind, input, message)."""

    inputs: int
    accepted: int
    refused: int
    other: int
    late: int
    slowest: float
    peak: int
    outside: int
    findings: list


# --- one input -------------------------------------------------------------------------------

_watched = {"folder": None, "seen": []}
_CHANGES = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod"}
_CHANGES |= {"os.truncate", "shutil.rmtree", "shutil.copyfile"}
_REACHES = {"socket.connect", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"}


def _witness(event, arguments):
    """Note what is opened for writing, changed or called outside the watched folder."""
    if _watched["folder"] is None:
        return
    if event in _REACHES:
        _watched["seen"].append(f"{event} {arguments!r}")
    elif event == "open" or event in _CHANGES:
        place, beside = arguments[0], arguments[-1]  # a name beside an open folder, or a path
        if event in ("os.remove", "os.rmdir", "os.mkdir") and beside != -1:
            place = os.path.join(os.readlink(f"/proc/self/fd/{beside}"), os.fsdecode(place))
        writes = event != "open" or (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes and isinstance(place, str | bytes | os.PathLike):
            whole = os.path.realpath(os.fsdecode(place))
            if not whole.startswith((_watched["folder"], "/dev/null")):
                _watched["seen"].append(f"{event} {whole}")


sys.addaudithook(_witness)


def prepared(make, folder):
    """Return the reader that a function and its further arguments make in a folder."""
    (folder / "scratch").mkdir(parents=True, exist_ok=True)
    setup, *options = make
    return setup(folder, *options)


def judge(reader, content):
    """Give one input to a reader.

    Returns
    -------
    (str, object, str)
        ``accepted``, ``refused`` or ``other``; where it ended; the message.
    """
    reader.target.unlink(missing_ok=True)  # to cut a file off and write it anew is far slower
    reader.target.write_bytes(content)
    try:
        mark, accepted = reader.read(reader.target)
        return ("accepted" if accepted else "refused"), mark, ""
    except KokeiluError as error:
        said, mark, folder = str(error), _place(error), reader.target.parent
        beside = (path.name for path in folder.iterdir())  # a described file, say
        if reader.target.name not in said and not any(n in said for n in (str(folder), *beside)):
            return "other", mark, f"does not name the file: {said[:300]}"
        return "refused", mark, said
    except Exception as error:  # exactly what must not happen
        said = "".join(traceback.format_exception(error)[-4:])
        return "other", _place(error), said[-1500:]


def _place(error):
    """Return the lines of the package that an error came through."""
    own = str(paths.PACKAGE)
    steps = ((f.f_code.co_filename, line) for f, line in traceback.walk_tb(error.__traceback__))
    return type(error).__name__, *((file[-20:], line) for file, line in steps if own in file)


def feed(reader, numbers, seed, progress, folder, keep=None):
    """Give the inputs of some numbers to a reader, keeping those that end somewhere new.

    Parameters
    ----------
    reader : Reader
    numbers : range
    seed : int
    progress : callable
        Called with (number, "started", None), then (number, outcome, message) for each input.
    folder : path
        Where a reader may write.
    keep : path, optional
        Folder for the inputs that broke the reader.
    """
    corpus, ends = list(reader.seeds), set()
    most = 1_000 + 2 * max(map(len, reader.seeds))  # bytes of what is spoiled further
    for at in numbers:
        chance = random.Random(f"{seed} {at}")
        start = chance.choice(corpus) if chance.random() < 0.7 else chance.choice(reader.seeds)
        content = spoil.spoiled(start, reader.form, chance, corpus)
        if 0 <= at - BOMB < len(spoil.BOMBS[reader.form]):
            content = spoil.BOMBS[reader.form][at - BOMB]()
        progress(at, "started", None)
        _watched.update(folder=os.path.realpath(folder), seen=[])
        outcome, mark, said = judge(reader, content)
        _watched["folder"] = None
        if _watched["seen"]:
            outside = "; ".join(_watched["seen"][:3])
            progress(at, "outside", outside)
        if outcome == "other" and keep:
            store.write_bytes(Path(keep) / f"{at:07d}_{reader.target.name}", content)
        progress(at, outcome, said)
        if (outcome, mark) not in ends and len(content) < most:
            ends.add((outcome, mark))
            corpus = corpus[-CORPUS:] + [content]


# --- many inputs -----------------------------------------------------------------------------


def _work(make, numbers, seed, folder, shared, keep, patience):
    """Feed a reader in a process of its own, with limited work and memory; count in `shared`."""
    parent, reader = os.getppid(), prepared(make, folder)
    tempfile.tempdir = str(folder / "scratch")
    os.chdir(folder)
    (folder / "target").write_text(str(reader.target), encoding="utf-8")
    for content in reader.seeds:  # what is imported and cached is no input's fault
        outcome, _, said = judge(reader, content)
        if outcome != "accepted":
            raise SystemExit(f"a file that should be valid is not: {said}")
    gc.collect()
    gc.freeze()  # what is imported stays: not to be looked through again for each input
    with open("/proc/self/status", encoding="ascii") as status:
        used = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmSize"))
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))

    def note(kind, at, said):
        with open(folder / "findings", "a", encoding="utf-8", errors="replace") as file:
            file.write(json.dumps([kind, at, said]) + "\n")

    def progress(at, outcome, said):
        if os.getppid() != parent:  # a campaign that was killed cannot tell its worker
            os._exit(1)
        if outcome == "started":
            shared["at"].value, shared["began"].value = at, time.monotonic()
            signal.setitimer(signal.ITIMER_PROF, patience)  # ends the process if it is reached
            return
        if outcome == "outside":
            shared["outside"].value += 1
        else:
            taken = patience - signal.setitimer(signal.ITIMER_PROF, 0)[0]
            shared["slowest"].value = max(shared["slowest"].value, taken)
            shared["began"].value = math.inf
            shared[outcome].value += 1
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        large = peak > max(MEMORY >> 20, shared["peak"].value)
        shared["peak"].value = max(peak, shared["peak"].value)
        if outcome in ("outside", "other") or large:
            note(f"{peak} MiB" if large else outcome, at, said)

    feed(reader, numbers, seed, progress, folder, keep)


def campaign(make, inputs, seed, budget=math.inf, keep=None):
    """Give many inputs to a reader in worker processes; one that hangs or dies is replaced.

    Parameters
    ----------
    make : tuple
        A function that returns a `Reader` for a folder, and its further arguments.
    inputs, seed : int
    budget : float
        Seconds after which no further input is given.

    Returns
    -------
    Tally
    """
    context = multiprocessing.get_context("spawn")
    counts = {name: context.Value("q", 0, lock=False) for name in ("accepted", "refused", "other")}
    shared = {**counts, "slowest": context.Value("d", 0.0, lock=False)}
    shared |= {n: context.Value("q", 0, lock=False) for n in ("at", "peak", "outside")}
    shared["began"] = context.Value("d", math.inf, lock=False)
    late, findings, first, stop = 0, [], 0, time.monotonic() + budget
    with tempfile.TemporaryDirectory(prefix="fuzz-") as top:
        folder = Path(top, "given", "files")
        while first < inputs and time.monotonic() < stop:
            shared["began"].value, shared["at"].value = math.inf, first
            job = (make, range(first, inputs), seed, folder, shared, keep, PATIENCE)
            worker = context.Process(target=_work, args=job)
            worker.start()
            while worker.is_alive():
                worker.join(0.2)
                hangs = time.monotonic() - shared["began"].value > WAIT * PATIENCE
                if hangs or time.monotonic() > stop:
                    worker.kill()
                    worker.join()
                    break
            else:
                if worker.exitcode == 0:
                    break
                if shared["began"].value == math.inf:
                    raise SystemExit(f"{make}: the worker ended with {worker.exitcode}")
                hangs = True
            if hangs:
                late += 1
                kind = signal.Signals(-worker.exitcode).name if worker.exitcode < 0 else "exit"
                findings.append(
                    (f"over {PATIENCE:.0f} s or crashed ({kind})", shared["at"].value, "")
                )
                target = Path((folder / "target").read_text(encoding="utf-8"))
                if keep and target.exists():
                    kept = Path(keep) / f"{shared['at'].value:07d}_late_{target.name}"
                    store.write_bytes(kept, target.read_bytes())
            first = shared["at"].value + 1
        strays = [p for p in Path(top).rglob("*") if folder not in (p, *p.parents, p / "files")]
        noted = folder / "findings"
        lines = noted.read_text("utf-8").splitlines() if noted.exists() else []
        findings += [tuple(json.loads(line)) for line in lines]
    done = {name: value.value for name, value in counts.items()}
    outside = shared["outside"].value + len(strays)
    return Tally(
        sum(done.values()) + late,
        **done,
        late=late,
        slowest=shared["slowest"].value,
        peak=shared["peak"].value,
        outside=outside,
        findings=findings,
    )


def main():
    """Run the campaigns asked for, print their table; exit with 1 if something was found."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("readers", nargs="*", metavar="READER", help=", ".join(READERS))
    asked.add_argument("--inputs", type=int, default=100_000, help="for each reader")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--seconds", type=float, default=math.inf, help="at most, for each reader")
    asked.add_argument("--keep", type=Path, help="folder for the inputs that broke a reader")
    asked.add_argument("--list", action="store_true")
    options = asked.parse_args()
    if options.list:
        print("\n".join(READERS))
        return 0
    unknown = set(options.readers) - set(READERS)
    if unknown:
        asked.error(f"unknown reader {', '.join(unknown)}; --list names them")
    print(f"| {' | '.join(HEADS)} |\n|{' --- |' * len(HEADS)}", flush=True)
    found = []
    for name in options.readers or READERS:
        keep = options.keep and options.keep / name.replace(" ", "_")
        tally = campaign(READERS[name], options.inputs, options.seed, options.seconds, keep)
        cells = [name, *(f"{n:,}" for n in tally[:5])]
        cells += [f"{tally.slowest:.2f}", str(tally.peak), str(tally.outside)]
        print(f"| {' | '.join(cells)} |", flush=True)
        found += [(name, *finding) for finding in tally.findings]
    alike = {}
    for name, kind, at, said in found:
        alike.setdefault((name, kind, said.rstrip()[-160:] or at), []).append((at, said))
    for (name, kind, _), cases in alike.items():
        at, said = cases[0]
        print(f"\n{name}, input {at} and {len(cases) - 1} like it, {kind}: {said}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
