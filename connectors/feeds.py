"""Well-known feeds, ready to be made a source: what to fill in is the key, where one is asked for.

Built from each publisher's own description of its interface. Each is plain configuration of a connector, so
what it does can be looked at and changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Feed:
    """A feed: which connector reads it, how it is configured, and where its key comes from."""

    name: str
    title: str
    summary: str
    connector: str
    config: dict[str, Any] = field(default_factory=dict)
    key: str = ""


FEEDS: tuple[Feed, ...] = (
    Feed(
        "otx",
        "AlienVault OTX pulses",
        "Pulses you are subscribed to, with their indicators",
        "rest",
        {
            "url": "https://otx.alienvault.com/api/v1/pulses/subscribed",
            "auth": "header", "name": "X-OTX-API-KEY", "records": "results",
            "pages": "next", "next_path": "next", "size_name": "limit", "size": 50,
            "since_name": "modified_since", "since_path": "modified",
        },
        key="OTX, Settings, API Integration",
    ),
    Feed(
        "urlhaus",
        "abuse.ch URLhaus",
        "Malware URLs of the last three days",
        "rest",
        {
            "url": "https://urlhaus-api.abuse.ch/v1/urls/recent/",
            "auth": "header", "name": "Auth-Key", "records": "urls",
        },
        key="abuse.ch, Authentication portal, Auth-Key",
    ),
    Feed(
        "threatfox",
        "abuse.ch ThreatFox",
        "Indicators of the last day",
        "rest",
        {
            "url": "https://threatfox-api.abuse.ch/api/v1/", "body": '{"query": "get_iocs", "days": 1}',
            "auth": "header", "name": "Auth-Key", "records": "data",
        },
        key="abuse.ch, Authentication portal, Auth-Key",
    ),
    Feed(
        "feodo",
        "abuse.ch Feodo Tracker",
        "Command-and-control servers of banking trojans",
        "url",
        {"url": "https://feodotracker.abuse.ch/downloads/ipblocklist.json"},
    ),
    Feed(
        "kev",
        "CISA Known Exploited Vulnerabilities",
        "Vulnerabilities that are known to be exploited",
        "url",
        {"url": "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"},
    ),
    Feed(
        "nvd",
        "NVD vulnerabilities",
        "CVE records of the National Vulnerability Database",
        "rest",
        {
            "url": "https://services.nvd.nist.gov/rest/json/cves/2.0", "records": "vulnerabilities",
            "pages": "offset", "page_name": "startIndex", "size_name": "resultsPerPage", "size": 2000,
            "since_name": "lastModStartDate", "until_name": "lastModEndDate", "since_path": "cve.lastModified",
            "window_days": 120, "per_minute": 10,
        },
    ),
    Feed(
        "github",
        "GitHub security advisories",
        "Reviewed advisories of the GitHub Advisory Database",
        "rest",
        {
            "url": "https://api.github.com/advisories?type=reviewed&sort=updated&direction=asc",
            "headers": {"X-GitHub-Api-Version": "2022-11-28"}, "pages": "link", "size_name": "per_page",
            "since_name": "modified", "since_path": "updated_at", "since_wrap": ">={}", "per_minute": 30,
        },
    ),
)  # fmt: skip
