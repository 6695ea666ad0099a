"""MISP's words: attribute types as our kinds, threat levels, analysis states, distribution (MISP core format §2)."""

from __future__ import annotations

from engine.types.vocabularies.vocabulary import Vocabulary

# Types not named here (comments, personal data, rules of other engines, …) have no kind of ours.
TYPES: dict[str, str] = {
    **dict.fromkeys(("ip-src", "ip-dst"), "ipv4"),
    **dict.fromkeys(("domain", "hostname", "onion-address"), "domain"),
    **dict.fromkeys(("url", "uri", "link"), "url"),
    **dict.fromkeys(
        ("email", "email-src", "email-dst", "email-reply-to", "target-email", "whois-registrant-email", "dns-soa-email"),
        "email",
    ),
    **dict.fromkeys(("md5", "x509-fingerprint-md5"), "md5"),
    **dict.fromkeys(("sha1", "x509-fingerprint-sha1", "git-commit-id"), "sha1"),
    **dict.fromkeys(("sha256", "x509-fingerprint-sha256", "authentihash"), "sha256"),
    "sha224": "sha224", "sha384": "sha384", "sha512": "sha512", "imphash": "imphash", "ssdeep": "ssdeep", "tlsh": "tlsh",
    "filename": "filename", "email-attachment": "filename", "attachment": "filename", "malware-sample": "filename",
    "regkey": "registry-key", "AS": "asn", "vulnerability": "cve", "weakness": "cwe", "mac-address": "mac",
    "mutex": "mutex", "user-agent": "user-agent", "btc": "bitcoin", "ja3-fingerprint-md5": "ja3",
    "jarm-fingerprint": "jarm", "yara": "yara", "port": "port", "uuid": "uuid",
}  # fmt: skip

# Types of galaxies → the STIX type their clusters are, as MISP's own conversion has them; all others have none.
GALAXIES: dict[str, str] = {
    kind: stix
    for stix, kinds in {
        "attack-pattern": (
            "cmtmf-attack-pattern", "mitre-attack-pattern", "mitre-enterprise-attack-attack-pattern", "mitre-ics-techniques",
            "mitre-mobile-attack-attack-pattern", "mitre-pre-attack-attack-pattern",
        ),
        "course-of-action": (
            "mitre-course-of-action", "mitre-enterprise-attack-course-of-action", "mitre-mobile-attack-course-of-action",
        ),
        "intrusion-set": (
            "mitre-enterprise-attack-intrusion-set", "mitre-intrusion-set", "mitre-mobile-attack-intrusion-set",
            "mitre-pre-attack-intrusion-set",
        ),
        "malware": (
            "android", "backdoor", "banker", "cryptominers", "malpedia", "mitre-enterprise-attack-malware", "mitre-ics-software",
            "mitre-malware", "mitre-mobile-attack-malware", "ransomware", "stealer",
        ),
        "threat-actor": ("360net-threat-actor", "microsoft-activity-group", "mitre-ics-groups", "threat-actor"),
        "tool": (
            "botnet", "exploit-kit", "mitre-enterprise-attack-tool", "mitre-mobile-attack-tool", "mitre-tool", "rat", "tds", "tool",
        ),
        "vulnerability": ("branded-vulnerability",),
        "location": ("country", "region"),
        "identity": ("sector",),
        "campaign": (),
    }.items()
    for kind in (*kinds, f"stix-2.0-{stix}", f"stix-2.1-{stix}")
}  # fmt: skip

MISP: tuple[Vocabulary, ...] = (
    Vocabulary(
        "misp-type",
        "MISP attribute type",
        "MISP describeTypes",
        tuple(sorted(set(TYPES.values()))),
        {word.lower(): kind for word, kind in TYPES.items()},
        open=True,
    ),
    Vocabulary(
        "misp-threat-level",
        "MISP threat level",
        "MISP core format §2.2.1.5",
        ("high", "medium", "low", "undefined"),
        {"1": "high", "2": "medium", "3": "low", "4": "undefined"},
    ),
    Vocabulary(
        "misp-analysis",
        "MISP analysis",
        "MISP core format §2.2.1.6",
        ("initial", "ongoing", "complete"),
        {"0": "initial", "1": "ongoing", "2": "complete", "completed": "complete"},
    ),
    Vocabulary(
        "misp-distribution",
        "MISP distribution",
        "MISP core format §2.2.1.13",
        ("organisation", "community", "connected-communities", "all-communities", "sharing-group", "inherit"),
        {
            "0": "organisation", "1": "community", "2": "connected-communities", "3": "all-communities",
            "4": "sharing-group", "5": "inherit",
        },
    ),
)  # fmt: skip
