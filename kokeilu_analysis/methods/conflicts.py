"""Minimal conflicts: which statements, taken together, cannot be true."""


def minimal_conflicts(n, holds, limit=20):
    """Return minimal sets of numbers out of ``0 … n-1`` that do not hold together.

    The first conflict comes from leaving numbers out one by one while the rest still clash; the
    others from repeating this without one of its members, the hitting-set tree of Reiter (1987,
    Artificial Intelligence 32, 57–95).

    Parameters
    ----------
    n : int
    holds : function
        Takes an ascending list of numbers, tells whether they can hold together. A part of what
        holds must hold.
    limit : int
        Stop after this many conflicts; with fewer, the list is complete.

    Returns
    -------
    list of lists of int
        Each ascending; empty when everything holds.

    Examples
    --------
    >>> minimal_conflicts(4, lambda kept: not {0, 2} <= set(kept))
    [[0, 2]]
    """
    found, seen, waiting = [], set(), [frozenset(range(n))]
    while waiting and len(found) < limit:
        kept = waiting.pop(0)
        conflict = next((c for c in found if kept.issuperset(c)), None)
        if conflict is None:
            if holds(sorted(kept)):
                continue
            conflict = _shrunk(kept, holds)
            found.append(conflict)
        for number in conflict:
            smaller = kept - {number}
            if smaller not in seen:
                seen.add(smaller)
                waiting.append(smaller)
    return found


def _shrunk(numbers, holds):
    kept = set(numbers)
    for number in sorted(numbers, reverse=True):
        if not holds(sorted(kept - {number})):
            kept.remove(number)
    return sorted(kept)
