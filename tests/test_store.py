"""Claims about writing: whole or not at all, and nothing where nothing changed."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from kokeilu_analysis import store

FULL_DISK = OSError(28, "No space left on device")


@pytest.mark.parametrize("step", ["fsync", "chmod", "replace"])
@pytest.mark.parametrize("fault", [FULL_DISK, KeyboardInterrupt()], ids=["full disk", "stopped"])
def test_a_failure_at_any_step_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, step, fault):
    path = tmp_path / "table.csv"
    store.write_text(path, "old\n")

    def fail(*_):
        raise fault

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(fault)):
        store.write_text(path, "new\n")
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]
    assert path.read_bytes() == b"old\n"


def test_a_failure_leaves_no_file_where_none_was(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda *_: (_ for _ in ()).throw(FULL_DISK))
    with pytest.raises(OSError, match="No space left"):
        store.write_bytes(tmp_path / "table.csv", b"new")
    assert list(tmp_path.iterdir()) == []


def test_even_a_killed_process_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "table.csv"
    store.write_text(path, "old\n")
    code = (
        "import os, sys; from kokeilu_analysis import store\n"
        "os.replace = lambda *_: os._exit(9)\n"
        "store.write_text(sys.argv[1], 'new')"
    )
    assert subprocess.run([sys.executable, "-c", code, path]).returncode == 9
    assert path.read_bytes() == b"old\n"


def test_a_reader_sees_the_old_or_the_new_file_at_every_step(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    store.write_text(path, "old\n")
    seen = []
    for step in ("fsync", "chmod", "replace"):
        original = getattr(os, step)

        def look(*arguments, original=original):
            seen.append(path.read_bytes())
            return original(*arguments)

        monkeypatch.setattr(os, step, look)
    store.write_text(path, "new\n")
    assert seen == [b"old\n"] * 3 and path.read_bytes() == b"new\n"


def test_the_same_bytes_are_not_written_again(tmp_path):
    path = tmp_path / "table.csv"
    store.write_text(path, "same\n")
    os.utime(path, ns=(1, 1))
    before = path.stat()
    store.write_text(path, "same\n")
    after = path.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino) == (1, after[1])
    store.write_text(path, "other\n")
    assert path.stat().st_mtime_ns != 1 and path.read_text() == "other\n"


def test_missing_folders_are_made_and_the_path_comes_back(tmp_path):
    path = tmp_path / "a" / "b" / "table.csv"
    assert store.write_bytes(str(path), b"1") == path
    assert path.read_bytes() == b"1"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
def test_outputs_can_be_read_by_everyone(tmp_path):
    path = store.write_text(tmp_path / "table.csv", "1")
    assert path.stat().st_mode & 0o777 == 0o644


def test_text_is_utf8_with_plain_line_ends(tmp_path):
    path = store.write_text(tmp_path / "note.txt", "työllisyys\nÅland\n")
    assert path.read_bytes() == "työllisyys\nÅland\n".encode()


def test_a_table_keeps_its_numbers_to_1e_9_and_has_plain_line_ends(tmp_path):
    random = np.random.default_rng(7)
    numbers = random.normal(size=500) * 10.0 ** random.integers(-8, 8, 500)
    frame = pd.DataFrame({"municipality": "005", "estimate": numbers, "note": "työ, velka"})
    frame.loc[3, "estimate"] = np.nan
    path = store.write_csv(tmp_path / "table.csv", frame)
    assert b"\r" not in path.read_bytes()
    back = pd.read_csv(path, dtype={"municipality": str})
    assert back["estimate"].isna().sum() == 1
    pd.testing.assert_frame_equal(back, frame, rtol=1e-11, check_dtype=False)
    assert store.write_csv(tmp_path / "again.csv", back).read_bytes() == path.read_bytes()


def test_a_zero_in_a_table_has_no_sign(tmp_path):
    frame = pd.DataFrame({"area": ["-0.0"], "bias": [-0.0], "count": [0]})
    assert store.write_csv(tmp_path / "table.csv", frame).read_text().split() == [
        "area,bias,count",
        "-0.0,0,0",
    ]


def test_parquet_is_the_same_bytes_for_the_same_frame_and_keeps_types(tmp_path):
    frame = pd.DataFrame(
        {
            "municipality": ["005", "091"],
            "month": pd.to_datetime(["2021-03-01", "2021-04-01"]),
            "value": [1.5, np.nan],
        }
    )
    first, second = (store.write_parquet(tmp_path / name, frame) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    pd.testing.assert_frame_equal(pd.read_parquet(first), frame)


def test_the_checksum_is_that_of_the_whole_file_however_long(tmp_path):
    for size in (0, 1, (1 << 20) - 1, (1 << 20) + 1):
        content = bytes(k % 251 for k in range(size))
        path = store.write_bytes(tmp_path / "file", content)
        assert store.sha256(path) == hashlib.sha256(content).hexdigest()


def test_a_second_run_in_the_same_folder_says_so_and_waits_for_the_first(tmp_path):
    """A child holds the turn until its input is closed; the second run starts only after it."""
    code = (
        "import sys; from kokeilu_analysis import store\n"
        "with store.turn(sys.argv[1], lambda said: print(said, flush=True)):\n"
        "    print('mine', flush=True); sys.stdin.read(); print('done', flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "there" / ".turn")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    first = subprocess.Popen(command, **pipes)
    assert first.stdout.readline() == "mine\n"
    second = subprocess.Popen(command, **pipes)
    assert "waits until it has ended" in second.stdout.readline()
    assert first.communicate()[0] == "done\n"
    assert second.communicate(timeout=30)[0] == "mine\ndone\n"


def test_the_turn_of_a_killed_run_is_free(tmp_path):
    code = (
        "import sys; from kokeilu_analysis import store\n"
        "with store.turn(sys.argv[1], print):\n"
        "    print('mine', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / ".turn")]
    killed = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    killed.stdout.readline()
    killed.kill()
    killed.wait()
    said = []
    with store.turn(tmp_path / ".turn", said.append):
        assert said == []
