"""Workers give what they are asked for and outlive nobody."""

import os
import signal
import subprocess
import sys
import time

import pytest

from kokeilu_analysis.workers import side_by_side

PARENT = """
import os, sys, time
from kokeilu_analysis.workers import side_by_side

if __name__ == "__main__":
    with side_by_side(1, sys.argv[1]) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        time.sleep(60)
"""


def runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:  # dead, but not yet counted off?
        return file.read().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="asks Linux whether a process runs")
@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_a_worker_ends_when_its_parent_is_killed(start, tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT, encoding="utf-8")
    parent = subprocess.Popen(
        [sys.executable, str(script), start], stdout=subprocess.PIPE, text=True
    )
    worker = int(parent.stdout.readline())
    assert runs(worker)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for _ in range(100):
        if not runs(worker):
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the worker still ran ten seconds after its parent was killed")


def test_answers_come_in_the_order_of_the_questions():
    with side_by_side(2) as pool:
        assert list(pool.map(abs, range(-5, 5))) == [5, 4, 3, 2, 1, 0, 1, 2, 3, 4]
