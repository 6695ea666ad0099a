"""The open vocabularies and enumerations of STIX 2.1, §10. `-ov` ones are open, `-enum` ones are not."""

from __future__ import annotations

from engine.types.vocabularies.vocabulary import Vocabulary

_TABLE: tuple[tuple[str, str, str, str], ...] = (
    (
        "account-type-ov",
        "Account type",
        "STIX 2.1 §10.1",
        """
        facebook ldap nis openid radius skype tacacs twitter unix windows-local windows-domain
        """,
    ),
    (
        "attack-motivation-ov",
        "Attack motivation",
        "STIX 2.1 §10.2",
        """
        accidental coercion dominance ideology notoriety organizational-gain personal-gain
        personal-satisfaction revenge unpredictable
        """,
    ),
    (
        "attack-resource-level-ov",
        "Attack resource level",
        "STIX 2.1 §10.3",
        """
        individual club contest team organization government
        """,
    ),
    (
        "encryption-algorithm-enum",
        "Encryption algorithm",
        "STIX 2.1 §10.4",
        """
        AES-256-GCM ChaCha20-Poly1305 mime-type-indicated
        """,
    ),
    (
        "extension-type-enum",
        "Extension type",
        "STIX 2.1 §10.5",
        """
        new-sdo new-sco new-sro property-extension toplevel-property-extension
        """,
    ),
    (
        "grouping-context-ov",
        "Grouping context",
        "STIX 2.1 §10.6",
        """
        suspicious-activity malware-analysis unspecified
        """,
    ),
    (
        "hash-algorithm-ov",
        "Hashing algorithm",
        "STIX 2.1 §10.7",
        """
        MD5 SHA-1 SHA-256 SHA-512 SHA3-256 SHA3-512 SSDEEP TLSH
        """,
    ),
    (
        "identity-class-ov",
        "Identity class",
        "STIX 2.1 §10.8",
        """
        individual group system organization class unknown
        """,
    ),
    (
        "implementation-language-ov",
        "Implementation language",
        "STIX 2.1 §10.9",
        """
        applescript bash c c++ c# go java javascript lua objective-c perl php powershell python ruby
        scala swift typescript visual-basic x86-32 x86-64
        """,
    ),
    (
        "indicator-type-ov",
        "Indicator type",
        "STIX 2.1 §10.10",
        """
        anomalous-activity anonymization benign compromised malicious-activity attribution unknown
        """,
    ),
    (
        "industry-sector-ov",
        "Industry sector",
        "STIX 2.1 §10.11",
        """
        agriculture aerospace automotive chemical commercial communications construction defense
        education energy entertainment financial-services government emergency-services
        government-national government-regional government-local government-public-services
        healthcare hospitality-leisure infrastructure dams nuclear water insurance manufacturing
        mining non-profit pharmaceuticals retail technology telecommunications transportation
        utilities
        """,
    ),
    (
        "infrastructure-type-ov",
        "Infrastructure type",
        "STIX 2.1 §10.12",
        """
        amplification anonymization botnet command-and-control control-system exfiltration firewall
        hosting-malware hosting-target-lists phishing reconnaissance routers-switches staging
        workstation unknown
        """,
    ),
    (
        "malware-result-ov",
        "Malware result",
        "STIX 2.1 §10.13",
        """
        malicious suspicious benign unknown
        """,
    ),
    (
        "malware-capabilities-ov",
        "Malware capabilities",
        "STIX 2.1 §10.14",
        """
        accesses-remote-machines anti-debugging anti-disassembly anti-emulation
        anti-memory-forensics anti-sandbox anti-vm captures-input-peripherals
        captures-output-peripherals captures-system-state-data cleans-traces-of-infection
        commits-fraud communicates-with-c2 compromises-data-availability compromises-data-integrity
        compromises-system-availability controls-local-machine degrades-security-software
        degrades-system-updates determines-c2-server emails-spam escalates-privileges evades-av
        exfiltrates-data fingerprints-host hides-artifacts hides-executing-code infects-files
        infects-remote-machines installs-other-components persists-after-system-reboot
        prevents-artifact-access prevents-artifact-deletion probes-network-environment self-modifies
        steals-authentication-credentials violates-system-operational-integrity
        """,
    ),
    (
        "malware-type-ov",
        "Malware type",
        "STIX 2.1 §10.15",
        """
        adware backdoor bot bootkit ddos downloader dropper exploit-kit keylogger ransomware
        remote-access-trojan resource-exploitation rogue-security-software rootkit screen-capture
        spyware trojan unknown virus webshell wiper worm
        """,
    ),
    (
        "network-socket-address-family-enum",
        "Network socket address family",
        "STIX 2.1 §10.16",
        """
        AF_UNSPEC AF_INET AF_IPX AF_APPLETALK AF_NETBIOS AF_INET6 AF_IRDA AF_BTH
        """,
    ),
    (
        "network-socket-type-enum",
        "Network socket type",
        "STIX 2.1 §10.17",
        """
        SOCK_STREAM SOCK_DGRAM SOCK_RAW SOCK_RDM SOCK_SEQPACKET
        """,
    ),
    (
        "opinion-enum",
        "Opinion",
        "STIX 2.1 §10.18",
        """
        strongly-disagree disagree neutral agree strongly-agree
        """,
    ),
    (
        "pattern-type-ov",
        "Pattern type",
        "STIX 2.1 §10.19",
        """
        stix pcre sigma snort suricata yara
        """,
    ),
    (
        "processor-architecture-ov",
        "Processor architecture",
        "STIX 2.1 §10.20",
        """
        alpha arm ia-64 mips powerpc sparc x86 x86-64
        """,
    ),
    (
        "region-ov",
        "Region",
        "STIX 2.1 §10.21",
        """
        africa eastern-africa middle-africa northern-africa southern-africa western-africa americas
        latin-america-caribbean south-america caribbean central-america northern-america asia
        central-asia eastern-asia southern-asia south-eastern-asia western-asia europe
        eastern-europe northern-europe southern-europe western-europe oceania antarctica
        australia-new-zealand melanesia micronesia polynesia
        """,
    ),
    (
        "report-type-ov",
        "Report type",
        "STIX 2.1 §10.22",
        """
        attack-pattern campaign identity indicator intrusion-set malware observed-data threat-actor
        threat-report tool vulnerability
        """,
    ),
    (
        "threat-actor-type-ov",
        "Threat actor type",
        "STIX 2.1 §10.23",
        """
        activist competitor crime-syndicate criminal hacker insider-accidental insider-disgruntled
        nation-state sensationalist spy terrorist unknown
        """,
    ),
    (
        "threat-actor-role-ov",
        "Threat actor role",
        "STIX 2.1 §10.24",
        """
        agent director independent infrastructure-architect infrastructure-operator malware-author
        sponsor
        """,
    ),
    (
        "threat-actor-sophistication-ov",
        "Threat actor sophistication",
        "STIX 2.1 §10.25",
        """
        none minimal intermediate advanced expert innovator strategic
        """,
    ),
    (
        "tool-type-ov",
        "Tool type",
        "STIX 2.1 §10.26",
        """
        denial-of-service exploitation information-gathering network-capture credential-exploitation
        remote-access vulnerability-scanning unknown
        """,
    ),
    (
        "windows-integrity-level-enum",
        "Windows integrity level",
        "STIX 2.1 §10.27",
        """
        low medium high system
        """,
    ),
    (
        "windows-pebinary-type-ov",
        "Windows PE binary type",
        "STIX 2.1 §10.28",
        """
        dll exe sys
        """,
    ),
    (
        "windows-registry-datatype-enum",
        "Windows registry data type",
        "STIX 2.1 §10.29",
        """
        REG_NONE REG_SZ REG_EXPAND_SZ REG_BINARY REG_DWORD REG_DWORD_BIG_ENDIAN
        REG_DWORD_LITTLE_ENDIAN REG_LINK REG_MULTI_SZ REG_RESOURCE_LIST
        REG_FULL_RESOURCE_DESCRIPTION REG_RESOURCE_REQUIREMENTS_LIST REG_QWORD REG_INVALID_TYPE
        """,
    ),
    (
        "windows-service-start-type-enum",
        "Windows service start type",
        "STIX 2.1 §10.30",
        """
        SERVICE_AUTO_START SERVICE_BOOT_START SERVICE_DEMAND_START SERVICE_DISABLED
        SERVICE_SYSTEM_ALERT
        """,
    ),
    (
        "windows-service-type-enum",
        "Windows service type",
        "STIX 2.1 §10.31",
        """
        SERVICE_KERNEL_DRIVER SERVICE_FILE_SYSTEM_DRIVER SERVICE_WIN32_OWN_PROCESS
        SERVICE_WIN32_SHARE_PROCESS
        """,
    ),
    (
        "windows-service-status-enum",
        "Windows service status",
        "STIX 2.1 §10.32",
        """
        SERVICE_CONTINUE_PENDING SERVICE_PAUSE_PENDING SERVICE_PAUSED SERVICE_RUNNING
        SERVICE_START_PENDING SERVICE_STOP_PENDING SERVICE_STOPPED
        """,
    ),
)

# What feeds write for a value of ours. Hyphens, spaces and underscores are told apart by nobody.
_WORDS: dict[str, dict[str, str]] = {
    "indicator-type-ov": {
        "malicious": "malicious-activity", "malware": "malicious-activity", "phishing": "malicious-activity",
        "c2": "malicious-activity", "botnet": "malicious-activity", "suspicious": "anomalous-activity",
        "anomalous": "anomalous-activity", "clean": "benign", "whitelisted": "benign", "tor": "anonymization",
        "proxy": "anonymization", "vpn": "anonymization",
    },
    "malware-type-ov": {
        "rat": "remote-access-trojan", "banker": "trojan", "infostealer": "spyware", "stealer": "spyware",
        "loader": "downloader", "cryptominer": "resource-exploitation", "miner": "resource-exploitation",
    },
    "hash-algorithm-ov": {
        "md-5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256", "sha512": "SHA-512", "sha3256": "SHA3-256",
        "sha3512": "SHA3-512",
    },
    "pattern-type-ov": {"stix2": "stix", "stix-pattern": "stix", "sigma-rule": "sigma", "yara-rule": "yara"},
}  # fmt: skip


def _vocabulary(name: str, title: str, source: str, words: str) -> Vocabulary:
    values = tuple(words.split())
    spelt = {value.lower().replace("-", mark): value for value in values for mark in (" ", "_")}
    return Vocabulary(name, title, source, values, {**spelt, **_WORDS.get(name, {})}, name.endswith("-ov"))


STIX: tuple[Vocabulary, ...] = tuple(_vocabulary(*row) for row in _TABLE)
