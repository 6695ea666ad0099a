"""Profile: what the columns of a relation hold, counted on all its rows and backed by examples."""

from engine.profile.facts import Column, DateFormat, MaskCount, Numbers, Outlier, Profile, ValueCount
from engine.profile.scan import profile
from engine.profile.shapes import mask

__all__ = [
    "Column",
    "DateFormat",
    "MaskCount",
    "Numbers",
    "Outlier",
    "Profile",
    "ValueCount",
    "mask",
    "profile",
]
