"""Processes that work side by side and end with the one that started them, however that ends."""

import os
import threading


def side_by_side(count=None, start="spawn"):
    """Return a pool of processes, to be used in a ``with``.

    A process that is killed cannot tell its pool, whose workers would wait for work for ever and
    keep their memory; these watch their parent instead.

    Parameters
    ----------
    count : int, optional
        Processes; as many as the machine has processors if left out.
    start : str
        ``spawn``: a fresh interpreter each, safe beside threads. ``fork``: a copy, quicker.

    Returns
    -------
    concurrent.futures.ProcessPoolExecutor

    Examples
    --------
    >>> with side_by_side(1) as workers:
    ...     list(workers.map(abs, [-1, 2]))
    [1, 2]
    """
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    return ProcessPoolExecutor(count, mp_context=get_context(start), initializer=_end_with_parent)


def _end_with_parent():
    from multiprocessing import parent_process

    def watch():
        parent_process().join()
        os._exit(1)  # from a thread, so that no lock or handler can hold it up

    threading.Thread(target=watch, daemon=True).start()
