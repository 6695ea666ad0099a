"""Which source field goes to which target field, so that all pairs together are best.

Greedy choice gives `First seen` to `created` because `created` came first; this cannot happen here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def assign(scores: Sequence[Sequence[float]]) -> list[int | None]:
    """For each row the column it gets, or None; a column is given once, a score of 0 or less never.

    The sum of the scores is the largest there is (Kuhn and Munkres, in O(rows² · columns)).
    """
    rows = len(scores)
    if not rows:
        return []
    given = len(scores[0])
    # One private column of zeros for each row stands for "stays empty".
    width = given + rows
    cost = [
        [-max(score, 0.0) for score in row] + [0.0 if i == j else math.inf for j in range(rows)]
        for i, row in enumerate(scores)
    ]
    potential_row, potential_column = [0.0] * (rows + 1), [0.0] * (width + 1)
    owner, before = [0] * (width + 1), [0] * (width + 1)
    for row in range(1, rows + 1):
        owner[0], column = row, 0
        slack, used = [math.inf] * (width + 1), [False] * (width + 1)
        while owner[column]:
            used[column] = True
            current, delta, following = owner[column], math.inf, 0
            line = cost[current - 1]
            for j in range(1, width + 1):
                if used[j]:
                    continue
                reduced = line[j - 1] - potential_row[current] - potential_column[j]
                if reduced < slack[j]:
                    slack[j], before[j] = reduced, column
                if slack[j] < delta:
                    delta, following = slack[j], j
            for j in range(width + 1):
                if used[j]:
                    potential_row[owner[j]] += delta
                    potential_column[j] -= delta
                else:
                    slack[j] -= delta
            column = following
        while column:
            owner[column] = owner[before[column]]
            column = before[column]
    chosen: list[int | None] = [None] * rows
    for column in range(1, given + 1):
        if owner[column] and scores[owner[column] - 1][column - 1] > 0:
            chosen[owner[column] - 1] = column - 1
    return chosen
