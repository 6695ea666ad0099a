"""Traffic Light Protocol: names of TLP 1.0 and 2.0 (FIRST), and the marking definitions that stand for them in STIX.

WHITE became CLEAR and AMBER split in two. AMBER+STRICT is the stricter half: an AMBER of TLP 1.0
may be passed on to clients, so it stays AMBER. Nothing ever defaults to CLEAR.
"""

from __future__ import annotations

from engine.types.vocabularies.vocabulary import Vocabulary

# STIX 2.1 §7.2.1.4 (TLP 1.0) and the OASIS TLP 2.0 extension definition.
MARKINGS: dict[str, str] = {
    "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487": "CLEAR",
    "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb": "GREEN",
    "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421": "AMBER",
    "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003": "AMBER+STRICT",
    "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1": "RED",
    "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": "CLEAR",
    "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": "GREEN",
    "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": "AMBER",
    "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "RED",
}

# The OASIS extension definition by which a marking definition says its TLP 2.0.
EXTENSION = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"

_NAMES = {
    "CLEAR": ("clear", "white"),
    "GREEN": ("green",),
    "AMBER": ("amber",),
    "AMBER+STRICT": ("amber+strict", "amber-strict", "amber strict", "amber_strict", "amberstrict"),
    "RED": ("red",),
}

_WORDS = {
    spelt.format(word): value
    for value, words in _NAMES.items()
    for word in words
    for spelt in (
        "{0}",
        "tlp:{0}",
        "tlp-{0}",
        "tlp {0}",
        "tlp_{0}",
        "tlp{0}",
        "tlp: {0}",
        'tlp="{0}"',
        'tlp:"{0}"',
    )
}

TLP = Vocabulary(
    "tlp",
    "Traffic Light Protocol",
    "FIRST TLP 2.0; STIX 2.1 §7.2.1.4",
    tuple(_NAMES),
    {**_WORDS, **MARKINGS},
)
