"""The catalogue of steps a mapping's chains are made of."""

from __future__ import annotations

from engine.steps import dates, intel, lists, numbers, patterns, protect, values, words  # noqa: F401  each fills STEPS
from engine.steps.catalogue import STEPS, BadMapping, Context, StepKind

__all__ = ["STEPS", "BadMapping", "Context", "StepKind"]
