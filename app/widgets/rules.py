"""The rules of a mapping as sentences with their inputs in them, and those the values speak for."""

from __future__ import annotations

import re
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, acts, options
from app.widgets import mapping_draft as drafting
from app.widgets.drafts import Draft
from engine.errors import SpireError

HTML = """<div class="rules"></div>"""
CSS = """
.rules { font: 400 13px/18px var(--st-font); color: var(--text); font-feature-settings: "tnum", "cv05"; display: grid; grid-template-columns: minmax(0, 1fr); } .row { display: flex; align-items: center; gap: 8px; min-width: 0; } .sp { flex: 1; } .m { color: var(--muted); } .s { font-size: 12px; line-height: 16px; } .bad { color: var(--bad-text); }
.r { border-top: 1px solid var(--border); padding: 5px 0; } .r.first { border-top: 0; } .r.open { background: var(--bg-2); margin: 0 -12px; padding: 6px 12px 8px; } .t { flex: 1 1 auto; border: 0; background: none; padding: 0; font: inherit; color: var(--text); text-align: left; cursor: pointer; min-width: 0; overflow-wrap: anywhere; } .t:hover { text-decoration: underline; text-decoration-color: var(--border-2); text-underline-offset: 3px; } .n { text-align: right; min-width: 28px; flex: none; font-variant-numeric: tabular-nums; white-space: nowrap; }
.say { line-height: 34px; } .say > * { vertical-align: middle; } input, select { box-sizing: border-box; height: 28px; border: 1px solid var(--border-2); border-radius: 6px; background: var(--bg); color: var(--text); font: 400 13px/18px var(--st-font); padding: 0 6px; max-width: 100%; } .say input { width: 84px; } .say input.long { width: 180px; } .say select { width: auto; max-width: 190px; }
.acts { display: flex; gap: 12px; flex-wrap: wrap; padding-top: 4px; } .a { border: 0; background: none; padding: 0; color: var(--accent-text); font: 500 12px/20px var(--st-font); cursor: pointer; white-space: nowrap; } .a:hover { text-decoration: underline; } .b { border: 1px solid var(--border); border-radius: 6px; background: var(--bg); color: var(--text); font: 500 12px/22px var(--st-font); padding: 0 8px; cursor: pointer; } .b:hover { background: var(--bg-2); } .b.pri { background: var(--accent); border-color: var(--accent); color: #fff; }
button:focus-visible, input:focus-visible, select:focus-visible { outline: 2px solid var(--accent-text); outline-offset: 1px; } .hd { font-size: 12px; color: var(--muted); padding: 8px 0 4px; } ul { margin: 4px 0 0; padding: 0; list-style: none; } li { font-size: 12px; line-height: 18px; color: var(--muted); overflow-wrap: anywhere; } li b { font-weight: 500; color: var(--bad-text); } .warn { border-left: 3px solid var(--wait); background: var(--wait-soft); border-radius: 4px; padding: 4px 8px; margin: 4px 0; font-size: 12px; }
"""
JS = r"""
export default function ({ data, parentElement: root, setTriggerValue }) {
  const box = root.querySelector('.rules'), s = box.s || (box.s = { open: null }), acts = queue(box, data.heard, setTriggerValue), told = JSON.stringify(data); if (acts.acts.length || s.told === told) return; s.told = told;
  if (data.trying) s.open = 'new'; else if (s.open === 'new') s.open = null;
  const el = (tag, cls, ...kids) => { const e = document.createElement(tag); if (cls) e.className = cls; for (const k of kids) if (k !== null && k !== undefined) e.append(k); return e; };
  const send = acts.send;
  const button = (cls, text, k, run, label) => { const b = el('button', cls, text); b.type = 'button'; b.dataset.k = k; if (label) b.setAttribute('aria-label', label); b.onclick = run; return b; };
  const pick = (rule, k, label, opts, value, name) => { const e = el('select'); e.setAttribute('aria-label', label); e.dataset.k = rule.id + k; if (!opts.some(o => o[0] === (value || ''))) opts = [[value || '', value || 'choose…'], ...opts]; for (const [w, t] of opts) { const o = el('option', '', t); o.value = w; e.append(o); } e.value = value || ''; e.onchange = () => send('change', { id: rule.id, name, value: e.value }); return e; };
  const write = (rule, i) => { const e = el('input', i.long ? 'long' : ''); e.value = i.value; e.dataset.was = i.value; e.dataset.k = rule.id + i.name; e.placeholder = i.hint; e.setAttribute('aria-label', i.label); e.title = i.label + (i.help ? '. ' + i.help : ''); e.autocomplete = 'off'; e.spellcheck = false; const take = () => { if (e.value !== e.dataset.was) { e.dataset.was = e.value; send('change', { id: rule.id, name: i.name, value: e.value }); } }; e.onblur = take; e.onkeydown = ev => { if (ev.key === 'Enter') { ev.preventDefault(); take(); } else if (ev.key === 'Escape') e.value = e.dataset.was; }; return e; };
  const caught = r => { const list = el('ul'); for (const c of r.examples) { const li = el('li', '', 'Line ' + c.line.toLocaleString('en') + ': ', el('b', '', c.says)); list.append(li); } return list; };
  function editor(r) {
    const say = el('div', 'say'); if (r.pick) say.append(pick(r, 'operator', 'What it demands', data.operators, r.operator, '@operator'), ' ');
    for (const p of r.sentence) { if (typeof p === 'string') say.append(p); else if (p.field) say.append(pick(r, 'field', 'Field', data.fields.map(f => [f, f]), r.field, '@field')); else { const i = p.input; say.append(i.as === 'select' ? pick(r, i.name, i.label, i.options, i.value, i.name) : write(r, i)); } say.append(' '); }
    say.lastChild.textContent = say.lastChild.textContent.trimEnd(); say.append(', else '); say.append(pick(r, 'severity', 'Where it does not hold', data.severities, r.severity, '@severity'));
    const kids = [say]; if (r.problem) { const p = el('div', 'warn', r.problem); p.setAttribute('role', 'status'); kids.push(p); } else kids.push(el('div', 's ' + (r.caught ? 'bad' : 'm'), r.fares)); if (r.note) kids.push(el('div', 's m', r.note)); if (r.examples.length) kids.push(caught(r));
    return kids;
  }
  function draw() {
    const at = box.getRootNode().activeElement, k = s.focus || (at && at.dataset ? at.dataset.k : null), parts = []; s.focus = null;
    data.rules.forEach((r, i) => { const open = s.open === r.id, card = el('div', 'r' + (open ? ' open' : '') + (i ? '' : ' first')), t = button('t', r.says, 't' + r.id, () => { s.open = open ? null : r.id; draw(); }); t.setAttribute('aria-expanded', String(open)); card.append(el('div', 'row', t, el('span', 's m', r.word), el('span', 'n' + (r.caught ? ' bad' : ' m'), r.count)));
      if (open) { card.append(...editor(r)); card.append(el('div', 'acts', button('a', 'Remove', 'rm' + r.id, () => { s.open = null; s.focus = 'add'; send('remove', { id: r.id }); }, 'Remove the rule: ' + r.says))); } parts.push(card); });
    if (!data.rules.length && !data.trying) parts.push(el('div', 'm s', data.none));
    if (data.trying) { const r = data.trying, card = el('div', 'r open', ...editor(r)), row = el('div', 'acts'); const add = button('b', 'Add the rule', 'keep', () => send('keep', {})); if (r.problem) { add.disabled = true; add.title = r.problem; add.style.color = 'var(--muted)'; } row.append(add, button('a', 'Leave it', 'leave', () => { s.focus = 'add'; send('leave', {}); })); card.append(row); parts.push(card); }
    else if (data.edit) { const more = button('a', data.offers ? 'Hide suggestions' : 'Suggest rules', 'offers', () => send('suggest', { on: !data.offers })); more.setAttribute('aria-expanded', String(!!data.offers)); const foot = el('div', 'row', button('b', '+ Add rule', 'add', () => send('new', {})), el('span', 'sp'), more); foot.style.paddingTop = '8px'; parts.push(foot); }
    if (data.offers && !data.trying) { parts.push(el('div', 'hd', data.spoken)); if (!data.offers.length) parts.push(el('div', 'm s', 'None beyond the rules there are.')); data.offers.forEach((o, i) => parts.push(el('div', 'r', el('div', 'row', el('span', '', o.says), el('span', 'sp'), button('a', 'Try', 'o' + i, () => send('offer', { index: o.index }), 'Try: ' + o.says)), el('div', 's m', o.why + '; ', el('span', o.caught ? 'bad' : '', o.would))))); }
    box.replaceChildren(...parts);
    if (k) { const back = [...box.querySelectorAll('[data-k]')].find(e => e.dataset.k === k); if (back) back.focus({ preventScroll: true }); }
  }
  draw();
}
"""
_rules = acts.component("spire_rules", html=HTML, css=CSS, js=JS)

Data = dict[str, Any]
SEVERITY = {"warn": "note it", "quarantine": "put the row into quarantine", "fail": "fail the run"}
SHORT = {"warn": "note", "quarantine": "quarantine", "fail": "fail the run"}
_PART = re.compile(r"(\[field\]|\{\w+\})")
_LONG = frozenset({"pattern", "sql", "values"})


def rules(edited: Draft, target: Any, selected: str, caught: dict[str, int]) -> None:
    """The rules of the mapping at hand with what each catches in the preview; edited, tried and added in place."""
    _Rules(edited, target, selected, caught).draw()


class _Rules:
    """One drawing of the rules, and what each act does to the draft."""

    def __init__(self, edited: Draft, target: Any, selected: str, caught: dict[str, int]) -> None:
        self.edited, self.target, self.selected, self.caught = edited, target, selected, caught
        self.client: Client = access.client()
        self.key = f"rules-{edited.now['subject']}-{edited.now['at']}"
        self._take_up()

    def _take_up(self) -> None:
        """The rules as the draft has them now."""
        self.kept: list[Data] = list(drafting.mapping_of(self.edited).get("rules", []))
        # A new rule is tried beside the draft until it is added.
        self.new: Data | None = st.session_state.get(f"{self.key}-new")

    def draw(self) -> None:
        self.operators = {o.name: o for o in self._asked("operators", self.client.operators)}
        tried = [*self.kept, *([self.new] if self.new else [])]
        judged = self._judged(tried)
        # Suggestions are worked out for those who ask for them.
        asked = bool(st.session_state.get(f"{self.key}-suggest")) and self._runs()
        offers = self._asked("rule-offers", self._offers) if asked else None
        mine = [r for r in self.kept if self.selected in _fields(r)]
        ordered = [*mine, *(r for r in self.kept if r not in mine)]
        data = {
            "rules": [self._shown(rule, judged.get(rule["id"])) for rule in ordered],
            "trying": self._shown(self.new, judged.get(self.new["id"])) | {"pick": True} if self.new else None,
            "operators": [[o.name, o.title] for o in self.operators.values()],
            "fields": [f.name for f in self.target.fields],
            "severities": [[name, word] for name, word in SEVERITY.items()],
            "offers": [
                {"index": n, "says": o.judged.says, "why": o.why, "caught": o.judged.caught, "would": _would(o.judged)}
                for n, o in sorted(enumerate(offers.offers), key=lambda pair: pair[1].judged.rule.field != self.selected)
            ]
            if offers
            else None,
            "spoken": f"The values speak for these; {offers.extent}" if offers else "",
            "edit": access.may(Permission.WORK),
            "none": "Types, kinds and required fields are checked anyway.",
        }  # fmt: skip
        acts.draw(_rules, data, key=self.key, acted=lambda told: access.attempt(self._acted, told, offers))

    def _runs(self) -> bool:
        return bool(drafting.mapping_of(self.edited)["fields"])

    def _offers(self) -> Any:
        now = self.edited.now
        return self.client.rule_offers(now["source"], now["mappings"], at=now["at"])

    def _judged(self, tried: list[Data]) -> dict[str, Any]:
        """How each rule fares; one that cannot be judged is told by its refusal, and the others still are."""
        if not tried or not self._runs():
            return {}
        now = self.edited.now

        def ask(some: list[Data]) -> dict[str, Any]:
            found = self.client.try_rules(now["source"], now["mappings"], some, at=now["at"])
            return {judged.rule.id: (judged, found.extent) for judged in found.rules}

        try:
            found: dict[str, Any] = self._asked(("judged", tried), lambda: ask(tried), raises=True)
        except SpireError as problem:
            found = {}
            if self.new is not None:
                rest = [rule for rule in tried if rule is not self.new]
                found = self._asked(("judged", rest), lambda: ask(rest) if rest else {}) or {}
                found[self.new["id"]] = problem
        return found

    def _asked(self, what: Any, ask: Any, *, raises: bool = False) -> Any:
        """An answer about the draft as it stands, kept with the session."""
        now = self.edited.now
        mark = repr((what, access.tenant(), now["source"], now["at"], now["mappings"]))
        kept: dict[str, Any] = st.session_state.setdefault("asked-of-rules", {})
        if mark not in kept:
            try:
                kept[mark] = ask()
            except SpireError:
                if raises:
                    raise
                return None
            while len(kept) > 20:
                del kept[next(iter(kept))]
        return kept[mark]

    def _shown(self, rule: Data, judged: Any) -> Data:
        operator = self.operators[rule["operator"]]
        found: Data = {
            "id": rule["id"], "operator": rule["operator"], "field": rule.get("field"), "says": rule.get("message") or operator.title,
            "severity": rule.get("severity", "quarantine"), "word": SHORT[rule.get("severity", "quarantine")],
            "count": f"{self.caught.get(rule['id'], 0):,}", "caught": self.caught.get(rule["id"], 0), "fares": "", "note": "",
            "problem": "", "examples": [], "sentence": self._sentence(operator, rule),
        }  # fmt: skip
        if isinstance(judged, SpireError):
            lacking = operator.needs_field and not rule.get("field")
            return {**found, "problem": "Choose a field." if lacking else _told(judged)}
        if judged is None:
            return found
        told, extent = judged
        fares = f"Catches {told.caught:,} of {told.rows:,} rows ({extent})"
        count = f"{told.caught:,}"
        if told.scope == "run":
            fares = "Holds on the sample." if told.holds else "Does not hold on the sample."
            count = "holds" if told.holds else "breaks"
        return {
            **found, "says": rule.get("message") or told.says, "caught": told.caught or (told.holds is False), "count": count,
            "fares": fares, "note": told.note,
            "examples": [
                {"line": row.line, "says": ", ".join(_said(name, value) for name, value in row.values.items())}
                for row in told.examples[:3]
            ],
        }  # fmt: skip

    def _sentence(self, operator: Any, rule: Data) -> list[Any]:
        """The operator's sentence with inputs in the places of its options."""
        names = [f.name for f in self.target.fields]
        choices = dict.fromkeys(("after", "before", "fields"), names)
        if operator.name == "compare":
            choices["field"] = names
        given = _options(rule)
        by = {i["name"]: i for i in options.inputs(operator.options, given, choices)}
        pieces: list[Any] = []
        for piece in _PART.split(re.sub(r"[<>]", "", operator.sentence)):
            if piece == "[field]":
                pieces.append({"field": True})
            elif piece.startswith("{") and piece[1:-1] in by:
                shown = by[piece[1:-1]]
                if shown["as"] in ("lines", "many"):
                    held = shown["value"] if isinstance(shown["value"], list) else shown["value"].split("\n")
                    shown = {**shown, "as": "text", "value": ", ".join(filter(None, held))}
                pieces.append({"input": {**shown, "long": shown["name"] in _LONG}})
            elif piece.strip():
                pieces.append(piece.strip())
        return pieces

    def _acted(self, told: Data, offers: Any) -> None:
        # An act before this one may have changed what was drawn.
        self._take_up()
        held = f"{self.key}-new"
        match told["act"]:
            case "new":
                st.session_state[held] = self._begun("required" if self._free("required") else "range")
            case "offer":
                rule = offers.offers[told["index"]].judged.rule.model_dump(mode="json", exclude_defaults=True)
                st.session_state[held] = {**rule, "id": self._id(rule)}
            case "suggest":
                st.session_state[f"{self.key}-suggest"] = told["on"]
            case "leave":
                st.session_state.pop(held, None)
            case "keep" if self.new is not None:
                made = {**self.new, "id": self._id(self.new)}
                drafting.change(self.edited, rules=[*self.kept, made])
                st.session_state.pop(held, None)
            case "remove":
                drafting.change(self.edited, rules=[rule for rule in self.kept if rule["id"] != told["id"]])
            case "change":
                self._change(told)

    def _change(self, told: Data) -> None:
        if self.new is not None and told["id"] == self.new["id"]:
            st.session_state[f"{self.key}-new"] = self._changed(self.new, told["name"], told["value"])
            return
        now = self.edited.now
        made = [
            self._changed(r, told["name"], told["value"]) if r["id"] == told["id"] else r for r in self.kept
        ]
        # Only what can run goes into the draft; the refusal is shown at the head of the page.
        self.client.try_rules(now["source"], now["mappings"], made, at=now["at"])
        drafting.change(self.edited, rules=made)

    def _changed(self, rule: Data, name: str, raw: Any) -> Data:
        if name == "@operator":
            return self._begun(raw)
        if name in ("@field", "@severity"):
            return {**rule, name[1:]: raw}
        operator = self.operators[rule["operator"]]
        listed = options.inputs(operator.options, {}, {})
        if any(i["name"] == name and i["as"] == "lines" for i in listed):
            raw = "\n".join(part.strip() for part in str(raw).split(","))
        value = options.taken(operator.options, _options(rule), name, raw)
        return {**{k: v for k, v in rule.items() if k != "value"}, **({"value": value} if value else {})}

    def _begun(self, operator: str) -> Data:
        needs = self.operators[operator].needs_field
        return {"id": "new-rule", "operator": operator, **({"field": self.selected} if needs else {})}

    def _free(self, operator: str) -> bool:
        return not any(r["operator"] == operator and r.get("field") == self.selected for r in self.kept)

    def _id(self, rule: Data) -> str:
        base = f"{rule['operator']}-{rule.get('field') or 'run'}".replace("_", "-").lower()
        taken = {each["id"] for each in self.kept}
        return next(name for name in (base, *(f"{base}-{n}" for n in range(2, 1000))) if name not in taken)


def _options(rule: Data) -> Data:
    """The rule's value spelled out; short forms are read as the engine reads them."""
    value = rule.get("value")
    if isinstance(value, dict):
        return value
    match rule["operator"], value:
        case _, None:
            return {}
        case (("range" | "length" | "volume"), [low, high]):
            return {"min": low, "max": high}
        case (("in" | "not_in"), list()):
            return {"values": value}
        case "unique", list():
            return {"fields": value}
        case "regex", str():
            return {"pattern": value}
        case "type", str():
            return {"type": value}
        case "freshness", str():
            return {"within": value}
        case "expression", str():
            return {"sql": value}
        case "date_order", str():
            return {"after": value}
    return {}


def _fields(rule: Data) -> list[str]:
    given = _options(rule)
    return [rule.get("field") or "", *(str(given.get(name) or "") for name in ("after", "before", "field"))]


def _would(judged: Any) -> str:
    if judged.scope == "run":
        return "holds now" if judged.holds else "does not hold now"
    return f"would catch {judged.caught:,} of {judged.rows:,}"


def _said(name: str, value: Any) -> str:
    return f"{name} {'has no value' if value is None else value}"


def _told(problem: SpireError) -> str:
    where = problem.where.partition(": ")[2] or problem.where
    return f"It is not complete yet: {where}"
