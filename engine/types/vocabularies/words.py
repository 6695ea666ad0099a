"""Everyday words of feeds: severity, yes and no, and the names they give to kinds of indicators."""

from __future__ import annotations

from engine.types.vocabularies.vocabulary import Vocabulary

SEVERITY = Vocabulary(
    "severity",
    "Severity",
    "CVSS v3.1 §5, qualitative rating",
    ("none", "low", "medium", "high", "critical"),
    {
        "info": "none", "informational": "none", "information": "none", "negligible": "low", "minor": "low",
        "moderate": "medium", "med": "medium", "mid": "medium", "major": "high", "important": "high", "severe": "high",
        "urgent": "critical", "crit": "critical", "very high": "critical", "very low": "low", "faible": "low",
        "moyen": "medium", "élevé": "high", "critique": "critical", "niedrig": "low", "mittel": "medium", "hoch": "high",
        "kritisch": "critical", "bajo": "low", "medio": "medium", "alto": "high", "crítico": "critical", "baixo": "low",
        "médio": "medium",
    },
)  # fmt: skip

YES_NO = Vocabulary(
    "yes-no",
    "Yes or no",
    "YAML 1.1 bool, and the words for them in seven languages",
    ("true", "false"),
    {
        **dict.fromkeys(("yes", "y", "1", "t", "on", "enabled", "ja", "oui", "si", "sí", "sim", "да", "是", "はい"), "true"),
        **dict.fromkeys(("no", "n", "0", "f", "off", "disabled", "nein", "non", "não", "нет", "否", "いいえ"), "false"),
    },
)  # fmt: skip

_KINDS: dict[str, tuple[str, ...]] = {
    "ipv4": ("ip", "ipv4", "ip address", "ip_address", "ip-address", "ipaddress", "ipv4-addr", "ipv4 address", "ipaddr",
             "ip_v4", "ip4", "addr", "host_ip", "ip-src", "ip-dst", "ip4_address"),
    "ipv6": ("ipv6", "ipv6-addr", "ipv6 address", "ip6", "ip_v6", "ip6_address"),
    "cidr": ("cidr", "netblock", "subnet", "network", "ip range", "ip-range", "ipv4-cidr", "ipv4 cidr", "net"),
    "domain": ("domain", "hostname", "fqdn", "domain-name", "domain name", "domain_name", "host", "domainname", "dns"),
    "url": ("url", "uri", "link", "http url", "url-address"),
    "email": ("email", "e-mail", "email-addr", "email address", "email-src", "email-dst", "mail", "email_address"),
    "md5": ("md5", "md5_hash", "filehash-md5", "file hash - md5", "md5 hash", "hash_md5", "hash-md5", "file_md5", "filehash_md5"),
    "sha1": ("sha1", "sha-1", "sha1_hash", "filehash-sha1", "file hash - sha1", "sha1 hash", "hash_sha1", "hash-sha1"),
    "sha224": ("sha224", "sha-224"),
    "sha256": ("sha256", "sha-256", "sha256_hash", "filehash-sha256", "file hash - sha256", "sha256 hash", "hash_sha256",
               "hash-sha256"),
    "sha384": ("sha384", "sha-384"),
    "sha512": ("sha512", "sha-512", "sha512_hash", "filehash-sha512"),
    "imphash": ("imphash", "filehash-imphash", "pehash-imphash"),
    "ssdeep": ("ssdeep", "fuzzy hash"),
    "tlsh": ("tlsh",),
    "asn": ("asn", "as", "autonomous-system", "as number", "as_number"),
    "cve": ("cve", "vulnerability", "cve id", "cve-id"),
    "cwe": ("cwe", "weakness"),
    "mac": ("mac", "mac-address", "mac-addr", "mac address", "mac_address"),
    "filename": ("filename", "file name", "file_name", "file-name", "file"),
    "file-path": ("filepath", "file path", "file_path", "file-path", "path", "directory"),
    "registry-key": ("regkey", "registry", "registry key", "registry_key", "registry-key", "windows-registry-key"),
    "mutex": ("mutex", "mutant"),
    "user-agent": ("user-agent", "user agent", "user_agent", "useragent", "ua"),
    "bitcoin": ("btc", "bitcoin", "bitcoinaddress", "bitcoin address", "bitcoin-address", "btc_address"),
    "ethereum": ("eth", "ethereum"),
    "ja3": ("ja3", "ja3_fingerprint", "ja3-fingerprint-md5", "ja3 fingerprint", "ja3_hash"),
    "ja3s": ("ja3s",),
    "jarm": ("jarm", "jarm-fingerprint"),
    "yara": ("yara", "yara rule"),
    "uuid": ("uuid", "guid"),
    "port": ("port",),
    "country": ("country", "country code"),
    "stix-id": ("stix-id", "stix id"),
}  # fmt: skip

KIND_WORDS = Vocabulary(
    "indicator-kind",
    "Kind of indicator",
    "The words of AlienVault OTX, ThreatFox, URLhaus, MISP, STIX 2.1 §6 and common exports",
    tuple(_KINDS),
    {word: kind for kind, words in _KINDS.items() for word in words},
    open=True,
)
"""What a feed's type column says, as the name of a kind. Open: a type we have no kind for keeps its word."""
