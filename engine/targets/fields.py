"""How built-in models spell their fields, and the properties all STIX objects share (STIX 2.1 §3)."""

from __future__ import annotations

from engine.model import FieldType, TargetField


def field(
    name: str, title: str, *synonyms: str, type: FieldType = FieldType.TEXT, **more: object
) -> TargetField:
    """A target field; synonyms are headers that mean it, in any language, in lower case."""
    return TargetField.model_validate(
        {"name": name, "title": title, "type": type, "synonyms": synonyms, **more}
    )


def moment(name: str, title: str, *synonyms: str, **more: object) -> TargetField:
    return field(name, title, *synonyms, type=FieldType.TIMESTAMP, **more)


def texts(name: str, title: str, *synonyms: str, **more: object) -> TargetField:
    return field(name, title, *synonyms, type=FieldType.TEXTS, **more)


def number(name: str, title: str, *synonyms: str, **more: object) -> TargetField:
    return field(name, title, *synonyms, type=FieldType.INTEGER, **more)


def flag(name: str, title: str, *synonyms: str, **more: object) -> TargetField:
    return field(name, title, *synonyms, type=FieldType.BOOLEAN, **more)


def data(name: str, title: str, *synonyms: str, **more: object) -> TargetField:
    return field(name, title, *synonyms, type=FieldType.JSON, **more)


NAME = field(
    "name", "Name", "title", "label", "titel", "nom", "nombre", "nome", "название", "имя", "名称", "名前", "bezeichnung",
)  # fmt: skip
DESCRIPTION = field(
    "description", "Description", "desc", "comment", "comments", "notes", "note", "details", "summary", "info", "remarks",
    "beschreibung", "kommentar", "descripción", "descripcion", "comentario", "descrizione", "descrição", "descricao",
    "commentaire", "описание", "комментарий", "描述", "备注", "説明",
)  # fmt: skip
ALIASES = texts("aliases", "Aliases", "alias", "aka", "also known as", "other names", "synonyms")
KILL_CHAIN = data(
    "kill_chain_phases", "Kill chain phases", "kill chain", "killchain", "phase", "tactic", "tactics"
)
FIRST_SEEN = moment(
    "first_seen", "First seen", "firstseen", "first_seen_utc", "first seen utc", "first observed", "first_observed",
    "date added", "dateadded", "first submission", "first_submission", "start", "zuerst gesehen", "erstmals gesehen",
    "première observation", "vu la première fois", "visto por primera vez", "primera vez", "visto per la prima volta",
    "visto pela primeira vez", "впервые замечен", "首次出现", "首次发现", "初回検出",
)  # fmt: skip
LAST_SEEN = moment(
    "last_seen", "Last seen", "lastseen", "last_seen_utc", "last seen utc", "last observed", "last_observed",
    "last online", "last_online", "last_submission", "end", "zuletzt gesehen", "dernière observation",
    "visto por última vez", "última vez", "ultima volta", "последний раз", "最后出现", "最近发现", "最終検出",
)  # fmt: skip

CORE = (
    field("id", "Id", "stix id", "stix_id", "uuid", "guid", required=True),
    field("type", "Type of object"),
    field("spec_version", "Version of STIX"),
    moment(
        "created", "Created", "created at", "created_at", "creation date", "date created", "erstellt", "erstellt am",
        "créé le", "date de création", "creado", "fecha de creación", "creato", "criado em", "создано", "创建时间", "作成日",
    ),
    moment(
        "modified", "Modified", "modified at", "updated", "updated at", "updated_at", "last modified", "last updated",
        "last_update", "geändert", "geändert am", "aktualisiert", "modifié le", "mis à jour", "modificado", "actualizado",
        "modificato", "aggiornato", "atualizado em", "изменено", "обновлено", "更新时间", "修改时间", "更新日",
    ),
    field("created_by_ref", "Created by"),
    flag("revoked", "Revoked", "withdrawn", "deleted", "widerrufen", "révoqué", "revocado", "отозван"),
    texts("labels", "Labels", "tags", "tag", "categories", "keywords", "schlagworte", "étiquettes", "etiquetas",
          "etichette", "метки", "теги", "标签", "タグ"),
    number("confidence", "Confidence", "confidence level", "confidence_level", "confidence score", "certainty", "konfidenz",
           "vertrauen", "confiance", "confianza", "fiducia", "confiança", "достоверность", "уверенность", "置信度", "信頼度"),
    field("lang", "Language"),
    data("external_references", "External references", "references", "reference", "refs", "links", "ref"),
    texts("object_marking_refs", "Marking references"),
    data("object", "The whole object", description="As it came, to the last property: exports are made of it."),
)  # fmt: skip
