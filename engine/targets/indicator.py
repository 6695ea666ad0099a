"""The indicator: one model for STIX indicators and for the rows of feeds.

A feed's row has no id, so the mapping derives one from kind and value: the same value in two feeds is
one record. A STIX indicator keeps its own id and its pattern; a pattern of one comparison also
gives `value` and `value_type`, and one of several equalities the list `observables`.
"""

from __future__ import annotations

from engine.model import TargetModel
from engine.targets.fields import (
    CORE,
    DESCRIPTION,
    FIRST_SEEN,
    KILL_CHAIN,
    LAST_SEEN,
    NAME,
    data,
    field,
    moment,
    number,
    texts,
)

INDICATOR = TargetModel(
    name="indicator",
    title="Indicator",
    summary="A value or pattern that tells malicious activity: address, domain, URL, hash, …",
    builtin=True,
    key=("id",),
    version="modified",
    fields=(
        CORE[0],
        field(
            "value", "Value", "indicator", "ioc", "ioc_value", "ioc value", "indicator_value", "indicator value",
            "observable", "artifact", "artefact", "ip", "ip address", "ip_address", "ipaddress", "dst_ip", "dest_ip", "src_ip", "domain",
            "domain_name", "fqdn", "hostname", "host", "url", "uri", "hash", "md5", "md5_hash", "sha1", "sha1_hash",
            "sha256", "sha256_hash", "file hash", "email", "cidr", "indikator", "wert", "ip-adresse", "indicateur", "valeur",
            "adresse ip", "indicador", "valor", "dirección ip", "direccion ip", "indicatore", "valore", "indirizzo ip",
            "endereço ip", "индикатор", "значение", "адрес", "ip-адрес", "指标", "值", "威胁指标", "地址", "域名", "指標", "値", "ipアドレス", "ドメイン",
            kind="indicator", sensitive=False,
            description="Canonical: refanged, lower case where case means nothing. What stood in the source is `original`.",
        ),
        field(
            "value_type", "Type of value", "indicator_type", "indicator type", "ioc_type", "ioc type", "type", "kind",
            "observable type", "data type", "typ", "indikatortyp", "type d'indicateur", "tipo", "tipo de indicador",
            "tipo di indicatore", "тип", "тип индикатора", "类型", "指标类型", "タイプ", "種別",
            vocabulary="indicator-kind",
        ),
        field("original", "Value as it stood in the source"),
        field("pattern", "Pattern", "stix pattern", "stix_pattern", "rule"),
        field("pattern_type", "Pattern language", "pattern type", vocabulary="pattern-type-ov"),
        field("pattern_version", "Version of the pattern language"),
        data("observables", "Observables", description="List of {type, value} of a pattern of equalities."),
        NAME,
        DESCRIPTION,
        texts("indicator_types", "Indicator types", "threat type", "threat_type", "classification", "category", "kategorie",
              "catégorie", "categoría", "categoria", "категория", "类别", "分类", "カテゴリ"),
        moment("valid_from", "Valid from", "valid since", "active from", "published", "date", "timestamp", "datum", "fecha",
               "data", "дата", "日期", "时间", "日付", "gültig ab", "valide à partir de", "válido desde", "valido dal"),
        moment("valid_until", "Valid until", "valid to", "expires", "expiration", "expiry", "expiration date", "expires_at", "expires at",
               "gültig bis", "ablaufdatum", "expire le", "valide jusqu'au", "caduca", "válido hasta", "vence", "scadenza",
               "válido até", "действует до", "истекает", "过期时间", "有效期至", "有効期限"),
        KILL_CHAIN,
        FIRST_SEEN,
        LAST_SEEN,
        field("tlp", "TLP", "tlp level", "tlp_color", "tlp color", "traffic light protocol", "sharing", "marking",
              vocabulary="tlp"),
        field("severity", "Severity", "threat level", "threat_level", "risk", "risk level", "priority", "schweregrad",
              "gravité", "gravedad", "severidad", "gravità", "gravidade", "критичность", "серьёзность", "严重程度", "严重性", "深刻度",
              vocabulary="severity"),
        number("score", "Score", "risk score", "risk_score", "threat score", "reputation", "punktzahl", "puntuación", "оценка", "评分"),
        field("source", "Source", "feed", "feed name", "provider", "reporter", "origin", "source name", "source_name", "quelle",
              "fuente", "origen", "fonte", "источник", "来源", "情报来源", "情報源"),
        field("threat", "Threat", "malware", "malware family", "malware_family", "malware_printable", "family", "signature",
              "threat name", "threat_name", "campaign", "schadsoftware", "famille", "maliciel", "familia", "famiglia", "família",
              "вредонос", "семейство", "恶意软件", "家族", "マルウェア"),
        field("threat_actor", "Threat actor", "actor", "apt", "group", "adversary", "intrusion set"),
        number("port", "Port", "dst_port", "dest_port", "destination port", "puerto", "porta", "порт", "端口", "ポート"),
        field("protocol", "Protocol", "proto", "protokoll", "protocole", "protocolo", "протокол", "协议"),
        field("country", "Country", "country code", "country_code", "cc", "geo", "land", "pays", "país", "paese", "страна", "国家", "国"),
        field("asn", "AS number", "as", "as number", "as_number", "asnumber", kind="asn"),
        field("status", "Status", "state", "url_status", "online", "estado", "stato", "état", "статус", "状态"),
        *CORE[1:],
    ),
)  # fmt: skip
