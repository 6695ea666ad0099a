"""The score of one source field for one target field, with its reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.model import FieldType, TargetField, TargetModel
from engine.profile import Column, Profile
from engine.suggest.facts import Accepted, Candidate
from engine.suggest.names import normalised, phrases_of, shared_words, similarity, words_of
from engine.suggest.values import evidence

# Columns of links to read more at, and of our own side of a connection, look like indicators and are none.
_ASIDE = frozenset(
    {"reference", "detail", "src", "report", "internal", "target", "victim", "result", "created"}
)


class Scorer:
    """Scores pairs of one source and one target; `history` are pairs the tenant accepted before."""

    def __init__(self, profile: Profile, target: TargetModel, history: Iterable[Accepted] = ()) -> None:
        self.profile = profile
        self.target = target
        # A fixed order, so that shuffled columns give the same mapping.
        self.columns = sorted(profile.columns, key=lambda column: (normalised(column.name), column.name))
        self.ignore = shared_words([column.name for column in self.columns]) | {
            word for word in words_of(target.name) if target.name not in ("contact", "asset")
        }
        names = [field.name for field in target.fields]
        self.phrases = {field.name: phrases_of(field, names) for field in target.fields}
        self.accepted: dict[tuple[str, str], int] = {}
        for pair in history:
            if pair.target == target.name:
                key = (normalised(pair.header), pair.field)
                self.accepted[key] = self.accepted.get(key, 0) + pair.times

    def candidates(self, field: TargetField) -> list[tuple[Candidate, float]]:
        """Every source field, in the order of `columns`, with its score and the finer weight that settles ties."""
        return [self.score(column, field) for column in self.columns]

    def score(self, column: Column, field: TargetField) -> tuple[Candidate, float]:
        """How sure we are that the column feeds the field, 0 to 100; the weight is not rounded."""
        alike, phrase = similarity(column.name, self.phrases[field.name], self.ignore)
        values = evidence(column, field, self.target)
        strength = values.strength
        reasons: list[str] = []
        if alike >= 0.93:
            reasons.append("the names are the same")
        elif alike >= 0.5:
            reasons.append(f"the name is like “{phrase}”")
        if field.kind == "indicator" and _ASIDE & set(words_of(column.name)):
            strength *= 0.4
        said = 0.95 * alike**1.6
        total = 100 * (1 - (1 - said) * (1 - strength))
        times = self.accepted.get((normalised(column.name), field.name), 0)
        if times:
            total = max(total, min(97.0, 88.0 + 2 * times))
            reasons.insert(0, f"you have mapped this name to it before ({times} times)" if times > 1 else
                           "you have mapped this name to it before")  # fmt: skip
        reasons += values.reasons
        if total > values.cap:
            reasons.append(f"so the score is held at {values.cap}")
        total = min(total, values.cap)
        candidate = Candidate(source=column.name, score=min(round(total), 99), reasons=tuple(reasons))
        return candidate, total + values.lead


def ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Best first; equals in the order they came."""
    return sorted(candidates, key=lambda candidate: -candidate.score)


def feeds(field: TargetField) -> bool:
    """Whether a source could name this field at all; whole objects and the like come another way."""
    return not (field.type is FieldType.JSON and field.name in ("object", "observables"))
