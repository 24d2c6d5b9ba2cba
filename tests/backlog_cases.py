"""Statements to test with, and ways to read and solve them that share nothing with the package."""

import itertools

import numpy as np
import pandas as pd

from kokeilu_analysis.methods.backlog import FeasibleSet

AREAS = [f"KK{i:02d}" for i in range(1, 26)]
SIX = ["KK01", "KK02", "KK03", "KK06", "KK11", "KK20"]
GROUPS = {"six_cities": SIX}
COLUMNS = "statement_id subject kind lower upper weight count_low count_high reading replaces"
NOTHING = np.nan


def frame(*rows):
    """Register rows; what follows `upper` may be left out."""
    filler = ("", NOTHING, NOTHING, "default", "")
    full = [(*row, *filler[len(row) - 5 :]) for row in rows]
    return pd.DataFrame(full, columns=COLUMNS.split())


def letter(mean=(0.475, 0.525), weight="areas"):
    return frame(
        ("six", "six_cities", "range", 0.6, 0.8),
        ("mean", "replied", "mean", *mean, weight),
        ("smallest", "KK17", "smallest", 0.125, 0.125),
        ("largest", "KK01", "largest", 0.8, 0.8),
        ("few", "replied", "few_below", NOTHING, 0.5),
        (
            "mean_exact",
            "replied",
            "mean",
            0.5,
            0.5,
            "areas",
            NOTHING,
            NOTHING,
            "mean_exact",
            "mean",
        ),
        ("by_customers", "all", "mean", *mean, "customers", NOTHING, NOTHING, "by_cust", "mean"),
        ("few_2", "replied", "few_below", NOTHING, 0.5, "", 0, 2, "few_2", "few"),
        ("few_3", "replied", "few_below", NOTHING, 0.5, "", 0, 3, "few_3", "few"),
        ("few_any", "replied", "context", NOTHING, NOTHING, "", NOTHING, NOTHING, "few_any", "few"),
    )


def feasible(evidence=None, **more):
    return FeasibleSet.from_evidence(
        letter() if evidence is None else evidence, AREAS, groups=GROUPS, **more
    )


def satisfies(evidence, areas, vectors, customers=None, groups=None, tolerance=1e-7):
    """Read the statements straight off the register; vectors is m by n. All areas had replied."""
    groups = {"all": areas, "replied": areas, **(groups or {})}
    place = {area: i for i, area in enumerate(areas)}
    good = ((vectors >= -tolerance) & (vectors <= 1 + tolerance)).all(axis=1)
    for row in evidence.to_dict("records"):
        members = groups.get(row["subject"], str(row["subject"]).split(";"))
        part = vectors[:, [place[a] for a in members]]
        low, high = row["lower"] - tolerance, row["upper"] + tolerance
        if row["kind"] in ("value", "range"):
            good &= ((part >= low) & (part <= high)).all(axis=1)
        elif row["kind"] == "mean":
            w = np.ones(len(members)) if row["weight"] == "areas" else customers[members]
            good &= np.abs(part @ (w / w.sum()) - (low + high) / 2) <= (high - low) / 2
        elif row["kind"] == "smallest":
            good &= (part[:, 0] >= low) & (part[:, 0] <= high)
            good &= (vectors >= part - tolerance).all(axis=1)
        elif row["kind"] == "largest":
            good &= (part[:, 0] >= low) & (part[:, 0] <= high)
            good &= (vectors <= part + tolerance).all(axis=1)
        elif row["kind"] == "few_below":
            top = row["count_high"]
            top = (len(members) - 1) // 2 if np.isnan(top) else top
            good &= (part < row["upper"] - tolerance).sum(axis=1) <= top
        elif row["kind"] == "order":
            good &= (np.diff(part, axis=1) >= -tolerance).all(axis=1)
    return good


def corners(evidence, areas, customers, extra=()):
    """Corners of the set by brute force: every choice of who may lie below, every active set.

    `extra` holds further rows (coefficients, limit) of ``coefficients · B <= limit``.
    """
    n, eye = len(areas), np.eye(len(areas))
    place = {area: i for i, area in enumerate(areas)}
    rows = [(e, 1.0) for e in eye] + [(-e, 0.0) for e in eye] + list(extra)
    few = []
    for row in evidence.to_dict("records"):
        subject = row["subject"]
        who = (
            list(range(n))
            if subject in ("all", "replied")
            else [place[a] for a in subject.split(";")]
        )
        low, high = row["lower"], row["upper"]
        if row["kind"] in ("value", "range"):
            rows += [r for i in who for r in ((eye[i], high), (-eye[i], -low))]
        elif row["kind"] == "mean":
            w = np.zeros(n)
            w[who] = 1.0 if row["weight"] == "areas" else customers.to_numpy()[who]
            w /= w.sum()
            rows += [(w, high), (-w, -low)]
        elif row["kind"] in ("smallest", "largest"):
            sign, own = (1.0 if row["kind"] == "smallest" else -1.0), who[0]
            rows += [(eye[own], high), (-eye[own], -low)]
            rows += [(sign * (eye[own] - eye[i]), 0.0) for i in range(n) if i != own]
        elif row["kind"] == "order":
            rows += [(eye[i] - eye[j], 0.0) for i, j in itertools.pairwise(who)]
        elif row["kind"] == "few_below":
            top = (len(who) - 1) // 2 if np.isnan(row["count_high"]) else int(row["count_high"])
            few.append((who, row["upper"], top))
    choices = [()] if not few else itertools.combinations(few[0][0], min(few[0][2], len(few[0][0])))
    found = []
    for free in choices:
        more = [(-eye[i], -few[0][1]) for i in few[0][0] if i not in free] if few else []
        a, b = (np.array(part) for part in zip(*(rows + more), strict=True))
        active = np.array(list(itertools.combinations(range(len(b)), n)))
        square = a[active]
        regular = np.abs(np.linalg.det(square)) > 1e-9
        points = np.linalg.solve(square[regular], b[active[regular]][..., None])[..., 0]
        found.append(points[(points @ a.T <= b + 1e-9).all(axis=1)])
    return np.vstack(found)


def truths(rng, n):
    """A random vector and statements that are true of it, few enough for brute force."""
    areas, b = [f"A{i}" for i in range(n)], np.round(rng.uniform(0.05, 0.95, n), 3)
    customers = pd.Series(rng.integers(1, 50, n).astype(float), areas)
    rank = np.argsort(b)
    w = customers.to_numpy()
    mean, spread = b.mean(), rng.choice([0.0, 0.02, 0.1])
    by_customers = b @ w / w.sum()
    pool = [
        ("range", areas[rng.integers(n)], "range", 0.0, 1.0),
        ("mean", "all", "mean", max(mean - spread, 0), min(mean + spread, 1), "areas"),
        (
            "mean_c",
            "all",
            "mean",
            max(by_customers - spread, 0),
            by_customers + spread,
            "customers",
        ),
        ("smallest", areas[rank[0]], "smallest", b[rank[0]] - 0.04, b[rank[0]] + 0.01),
        ("largest", areas[rank[-1]], "largest", b[rank[-1]] - 0.01, b[rank[-1]] + 0.04),
        ("order", f"{areas[rank[0]]};{areas[rank[-1]]}", "order", NOTHING, NOTHING),
        ("few", "all", "few_below", NOTHING, 0.5, "", 0, int((b < 0.5).sum())),
    ]
    i = areas.index(pool[0][1])
    pool[0] = (*pool[0][:3], round(b[i] - 0.05, 3), round(b[i] + 0.05, 3))
    chosen = [pool[k] for k in sorted(rng.choice(len(pool), rng.integers(2, 5), replace=False))]
    return areas, b, customers, frame(*chosen)
