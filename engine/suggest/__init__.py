"""Suggest: which source field feeds which target field, how sure we are, and why."""

from engine.suggest.checks import SuggestedRule, suggest_rules
from engine.suggest.facts import Accepted, Candidate, FieldSuggestion, Suggestion
from engine.suggest.names import normalised
from engine.suggest.suggestion import THRESHOLD, suggest, suggest_target

__all__ = [
    "THRESHOLD",
    "Accepted",
    "Candidate",
    "FieldSuggestion",
    "SuggestedRule",
    "Suggestion",
    "normalised",
    "suggest",
    "suggest_rules",
    "suggest_target",
]
