"""STIX 2.1 domain objects (§4) and relationships (§5), each with the properties of its own."""

from __future__ import annotations

from engine.model import FieldType, TargetField, TargetModel
from engine.targets.fields import (
    ALIASES,
    CORE,
    DESCRIPTION,
    FIRST_SEEN,
    KILL_CHAIN,
    LAST_SEEN,
    NAME,
    data,
    field,
    flag,
    moment,
    number,
    texts,
)


def model(
    name: str, title: str, summary: str, *own: TargetField, version: str | None = "modified"
) -> TargetModel:
    """A STIX object type: id and the common properties around its own."""
    fields = (CORE[0], *own, *CORE[1:])
    return TargetModel(
        name=name, title=title, summary=summary, fields=fields, key=("id",), version=version, builtin=True
    )


MOTIVES = (
    texts("goals", "Goals", "objectives"),
    field("resource_level", "Resource level", vocabulary="attack-resource-level-ov"),
    field(
        "primary_motivation", "Primary motivation", "motivation", "motive", vocabulary="attack-motivation-ov"
    ),
    texts("secondary_motivations", "Secondary motivations"),
)
# Without `summary`, which in a sighting is a property of its own.
SIGHTED = DESCRIPTION.model_copy(
    update={"synonyms": tuple(w for w in DESCRIPTION.synonyms if w != "summary")}
)
REFS = texts("object_refs", "Objects")
EXTERNAL_ID = field(
    "external_id", "Id in its catalogue", "technique id", "technique_id", "attack id", "mitre id", "t-code"
)

OBJECTS = (
    model("attack-pattern", "Attack pattern", "A way adversaries work: technique or tactic.",
          EXTERNAL_ID, NAME, DESCRIPTION, ALIASES, KILL_CHAIN),
    model("campaign", "Campaign", "Attacks over a time against a set of targets.",
          NAME, DESCRIPTION, ALIASES, FIRST_SEEN, LAST_SEEN, field("objective", "Objective", "goal")),
    model("course-of-action", "Course of action", "What to do against an attack.",
          EXTERNAL_ID, NAME, DESCRIPTION, field("action", "Action", "mitigation", "remediation")),
    model("grouping", "Grouping", "Objects that share a context.",
          NAME, DESCRIPTION, field("context", "Context", vocabulary="grouping-context-ov"), REFS),
    model("identity", "Identity", "A person, organisation, group or system.",
          NAME, DESCRIPTION, texts("roles", "Roles", "role"),
          field("identity_class", "Class", "identity class", vocabulary="identity-class-ov"),
          texts("sectors", "Sectors", "sector", "industry"),
          field("contact_information", "Contact information", "contact", "email", "phone", pii=True)),
    model("incident", "Incident", "A security incident.",
          NAME, DESCRIPTION, field("severity", "Severity", vocabulary="severity"), field("status", "Status", "state")),
    model("infrastructure", "Infrastructure", "Systems and services used for a purpose.",
          NAME, DESCRIPTION, texts("infrastructure_types", "Infrastructure types"), ALIASES, KILL_CHAIN, FIRST_SEEN, LAST_SEEN),
    model("intrusion-set", "Intrusion set", "Adversary behaviour believed to be one organisation's.",
          NAME, DESCRIPTION, ALIASES, FIRST_SEEN, LAST_SEEN, *MOTIVES),
    model("location", "Location", "A place.",
          NAME, DESCRIPTION, field("latitude", "Latitude", "lat", type=FieldType.DECIMAL),
          field("longitude", "Longitude", "lon", "lng", type=FieldType.DECIMAL), field("precision", "Precision", type=FieldType.DECIMAL),
          field("region", "Region", vocabulary="region-ov"), field("country", "Country", "country code"),
          field("administrative_area", "Administrative area", "state", "province"), field("city", "City", "town"),
          field("street_address", "Street address", "address", "street"), field("postal_code", "Postal code", "zip", "zip code")),
    model("malware", "Malware", "Malicious code: a family or an instance.",
          EXTERNAL_ID, NAME, DESCRIPTION, texts("malware_types", "Malware types", "malware type"), flag("is_family", "Is a family"),
          ALIASES, KILL_CHAIN, FIRST_SEEN, LAST_SEEN, texts("operating_system_refs", "Operating systems"),
          texts("architecture_execution_envs", "Architectures"), texts("implementation_languages", "Languages"),
          texts("capabilities", "Capabilities"), texts("sample_refs", "Samples")),
    model("malware-analysis", "Malware analysis", "Result of an analysis of malware.",
          field("product", "Product", "engine"), field("version", "Version"), field("analysis_engine_version", "Engine version"),
          field("analysis_definition_version", "Definition version"), moment("submitted", "Submitted"),
          moment("analysis_started", "Started"), moment("analysis_ended", "Ended"),
          field("result_name", "Result name", "detection"), field("result", "Result", "verdict", vocabulary="malware-result-ov"),
          field("sample_ref", "Sample"), texts("modules", "Modules"), field("host_vm_ref", "Machine"),
          field("operating_system_ref", "Operating system"), texts("installed_software_refs", "Installed software"),
          texts("analysis_sco_refs", "Captured observables")),
    model("note", "Note", "A comment on other objects.",
          field("abstract", "Abstract", "title"), field("content", "Content", "text", "body"), texts("authors", "Authors", "author"), REFS),
    model("observed-data", "Observed data", "What was seen on systems and networks.",
          moment("first_observed", "First observed", "first seen"), moment("last_observed", "Last observed", "last seen"),
          number("number_observed", "Number observed", "count"), REFS, data("objects", "Objects (STIX 2.0)")),
    model("opinion", "Opinion", "An assessment of another object.",
          field("opinion", "Opinion", vocabulary="opinion-enum"), field("explanation", "Explanation"), texts("authors", "Authors", "author"), REFS),
    model("report", "Report", "A published account of threats.",
          NAME, DESCRIPTION, texts("report_types", "Report types", "report type"),
          moment("published", "Published", "publication date", "date", "pubdate"), REFS),
    model("threat-actor", "Threat actor", "Individuals or groups with malicious intent.",
          NAME, DESCRIPTION, texts("threat_actor_types", "Threat actor types", "actor type"), ALIASES, FIRST_SEEN, LAST_SEEN,
          texts("roles", "Roles", "role"), field("sophistication", "Sophistication", vocabulary="threat-actor-sophistication-ov"),
          *MOTIVES, texts("personal_motivations", "Personal motivations"),
          field("country", "Country", "origin", "country of origin", "origin country")),
    model("tool", "Tool", "Legitimate software that adversaries use.",
          EXTERNAL_ID, NAME, DESCRIPTION, texts("tool_types", "Tool types", "tool type"), ALIASES, KILL_CHAIN,
          field("tool_version", "Version", "version")),
    model("vulnerability", "Vulnerability", "A weakness in software or hardware.",
          field("cve", "CVE", "cve id", "cve_id", "cve-id", "cveid", "cve number", "vulnerability id", "schwachstelle",
                "vulnérabilité", "vulnerabilidad", "уязвимость", "漏洞编号", "脆弱性", kind="cve"),
          NAME, DESCRIPTION, field("severity", "Severity", "base severity", "cvss severity", vocabulary="severity"),
          field("score", "CVSS score", "cvss", "cvss score", "base score", "cvss_score", type=FieldType.DECIMAL),
          field("vector", "CVSS vector", "cvss vector", "vector string"), field("cwe", "CWE", "cwe id", "weakness", kind="cwe"),
          field("vendor", "Vendor", "vendorproject", "vendor project", "manufacturer"), field("product", "Product", "software"),
          moment("published", "Published", "publish date", "date added", "dateadded"), moment("due", "Due", "due date", "duedate"),
          flag("exploited", "Known to be exploited", "kev", "exploited in the wild")),
    model("relationship", "Relationship", "How one object relates to another.",
          field("relationship_type", "Relationship", "relation", "relationship type"), DESCRIPTION,
          field("source_ref", "From", "source", "source id", "source ref"), field("target_ref", "To", "target", "target id", "target ref"),
          moment("start_time", "Start"), moment("stop_time", "Stop")),
    model("sighting", "Sighting", "That an indicator or other object was seen.",
          SIGHTED, FIRST_SEEN, LAST_SEEN, number("count", "Count", "sightings", "hits"),
          field("sighting_of_ref", "Sighting of"), texts("observed_data_refs", "Observed data"), texts("where_sighted_refs", "Where sighted"),
          flag("summary", "Is a summary")),
    model("language-content", "Language content", "An object's text in other languages.",
          field("object_ref", "Object"), moment("object_modified", "Version of the object"), data("contents", "Contents")),
    model("marking-definition", "Marking definition", "What a marking demands of those who hold the data.",
          NAME, field("definition_type", "Type of definition"), data("definition", "Definition"),
          field("tlp", "TLP", vocabulary="tlp"), data("extensions", "Extensions"), version=None),
    model("extension-definition", "Extension definition", "What an extension of STIX adds.",
          NAME, DESCRIPTION, field("schema", "Schema"), field("version", "Version"), texts("extension_types", "Extension types"),
          texts("extension_properties", "Extension properties")),
    model("observable", "Observable", "A fact seen on a system or network (STIX cyber observables), without a verdict.",
          field("value", "Value", "observable"), field("value_type", "Type of value", "observable type", vocabulary="indicator-kind"),
          data("hashes", "Hashes"), number("size", "Size", "file size", "filesize"), flag("defanged", "Defanged"),
          data("extensions", "Extensions"), version=None),
    model("stix-object", "Other STIX object", "Any object of a type without a model of its own, kept whole.",
          NAME, DESCRIPTION, texts("aliases", "Aliases")),
)  # fmt: skip
