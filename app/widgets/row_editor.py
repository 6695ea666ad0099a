"""The row editor: a reject's fields with what stood there beside, judged while one types, and the keys of quarantine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

HTML = """
<form class="ed" aria-label="Edit this row"><div class="grid"></div><details><summary></summary><div class="grid rest"></div></details>
<p class="verdict" role="status" aria-live="polite"></p></form>
"""
CSS = """
.ed { font: 400 13px/20px var(--st-font); color: var(--text); margin: 0; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(128px, 1fr)); gap: 8px 12px; } .grid.whole { grid-template-columns: 1fr; }
label { display: block; } label span { display: block; font-size: 12px; line-height: 18px; color: var(--muted); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
input, textarea { width: 100%; box-sizing: border-box; height: 32px; padding: 0 8px; font: 400 13px/20px var(--st-font); color: var(--text); background: var(--bg); border: 1px solid var(--border-2); border-radius: var(--r-2); }
textarea { height: 56px; padding: 4px 8px; font: 12px/18px var(--mono); resize: vertical; }
input:disabled, textarea:disabled { color: var(--muted); background: var(--bg-2); border-color: var(--border); cursor: default; }
input:focus-visible, textarea:focus-visible, summary:focus-visible { outline: 2px solid var(--accent-text); outline-offset: 1px; }
.hot input { border-color: var(--bad); } .ok input { border-color: var(--ok); }
.was { display: block; min-height: 16px; font-size: 12px; line-height: 16px; color: var(--muted); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .was.bad { color: var(--bad-text); } .was s { text-decoration-color: var(--bad); }
details { margin-top: 4px; } details[hidden] { display: none; } summary { font-size: 12px; color: var(--accent-text); cursor: pointer; width: fit-content; } details .grid { margin-top: 8px; }
.verdict { margin: 4px 0 0; min-height: 20px; font-weight: 500; } .verdict.ok { color: var(--ok-text); } .verdict.bad { color: var(--bad-text); } .verdict.muted { color: var(--muted); font-weight: 400; }
"""
JS = """
export default function ({ data, parentElement: root, setTriggerValue }) {
  const el = (tag, cls, text) => { const e = document.createElement(tag); if (cls) e.className = cls; if (text !== undefined) e.textContent = text; return e; };
  const form = root.querySelector('.ed'), [main, rest] = root.querySelectorAll('.grid'), more = root.querySelector('details');
  const kept = form.kept ??= { id: null, inputs: new Map() };
  kept.tell = setTriggerValue; kept.data = data;
  const values = () => Object.fromEntries([...kept.inputs].map(([name, i]) => [name, i.value]));
  const send = () => { clearTimeout(kept.timer); kept.timer = 0; const now = values(), sign = JSON.stringify(now); if (sign !== kept.sent) { kept.sent = sign; kept.tell('typed', { id: kept.data.id, values: now }); } };
  kept.send = send;
  if (kept.id !== data.id) {
    kept.id = data.id; kept.inputs = new Map(); main.replaceChildren(); rest.replaceChildren(); more.open = false; clearTimeout(kept.timer);
    main.classList.toggle('whole', data.whole);
    data.fields.forEach((f, n) => {
      const box = el('div'), label = el('label'), input = el(data.whole ? 'textarea' : 'input'), was = el('span', 'was');
      box.dataset.name = f.name; was.id = 'was-' + n; input.value = f.value; input.spellcheck = false; input.autocomplete = 'off'; input.setAttribute('aria-describedby', was.id);
      // Not when the field is left: a click elsewhere would then be sent in the same breath, and one of the two lost.
      input.oninput = () => { clearTimeout(kept.timer); kept.timer = setTimeout(kept.send, 350); }; input.disabled = data.off;
      input.onkeydown = e => { if (e.key === 'Escape') { input.value = f.was; kept.send(); input.blur(); } if (e.key === 'Enter' && !data.whole) e.preventDefault(); };
      label.append(el('span', '', f.name), input); box.append(label, was);
      (n < data.shown ? main : rest).append(box); kept.inputs.set(f.name, input);
    });
    kept.sent = JSON.stringify(values());
  }
  more.hidden = !rest.childElementCount; root.querySelector('summary').textContent = data.more;
  for (const box of root.querySelectorAll('[data-name]')) {
    const f = data.fields.find(x => x.name === box.dataset.name), was = box.querySelector('.was'), input = kept.inputs.get(f.name), why = data.failed[f.name] || '';
    box.classList.toggle('hot', !!why || (f.hot && !data.judged)); box.classList.toggle('ok', f.hot && data.judged && !why);
    const changed = !data.whole && input.value !== f.was;
    was.className = 'was' + (why ? ' bad' : ''); was.textContent = why || (changed ? 'was ' + (f.was || 'empty') : ''); was.title = was.textContent;
  }
  const verdict = root.querySelector('.verdict'); if (verdict.textContent !== data.verdict) verdict.textContent = data.verdict; verdict.className = 'verdict ' + data.tone;
  // Keys typed in here are text, not shortcuts of the page, which can't see into this component.
  form.onkeydown = e => { if (e.target.matches('input, textarea')) e.stopPropagation(); };
  form.onsubmit = e => { e.preventDefault(); kept.send(); };
  const pressed = e => {
    if (e.defaultPrevented || e.metaKey || e.ctrlKey || e.altKey) return;
    const at = e.composedPath()[0];
    const text = at?.matches?.('textarea, select, [contenteditable="true"], [role="combobox"], input:not([type=checkbox]):not([type=radio])');
    if (text || document.querySelector('[role=dialog], dialog[open]')) return;
    const key = e.key.toLowerCase(), press = { a: 'apply', j: 'cause-next', k: 'cause-before', r: 'replay-all' }[key];
    if (press) { const b = document.querySelector('.st-key-' + press + ' button'); if (b && !b.disabled) { e.preventDefault(); b.click(); } }
    if (key === 'e') { e.preventDefault(); const first = kept.inputs.values().next().value; first?.focus(); first?.select(); }
    if (at?.matches?.('input, [role="tab"], [role="radio"]')) return;
    if ((e.key === 'ArrowDown' || e.key === 'ArrowUp') && !at?.closest?.('tbody')) { e.preventDefault(); kept.tell('stepped', e.key === 'ArrowDown' ? 1 : -1); }
  };
  document.addEventListener('keydown', pressed);
  return () => document.removeEventListener('keydown', pressed);
}
"""
_editor = st.components.v2.component("spire_row_editor", html=HTML, css=CSS, js=JS)

SHOWN = 6


@dataclass(frozen=True)
class Verdict:
    """What the mapping makes of the row as it is edited: in words, its tone, and the reason by source field."""

    told: str
    tone: str
    failed: dict[str, str]


def row_editor(
    reject: Any,
    field: str | None,
    verdict: Verdict | None,
    draft: Mapping[str, str],
    *,
    key: str,
    off: str | None,
    typed: Callable[[], None],
    stepped: Callable[[], None],
) -> None:
    """Draw the editor of a reject; `field` is the source field at fault, `off` why it can't be edited.

    `draft` is what was typed before: the editor may be drawn anew, after a look elsewhere or at another place.

    `typed` and `stepped` are called when something was typed, or another row asked for by arrow; what exactly
    stands in the session under the key.
    """
    before = reject.fields
    names = sorted(before, key=lambda name: name != field)
    whole = not names
    fields = [
        {"name": n, "was": before[n] or "", "value": draft.get(n, before[n] or ""), "hot": n == field}
        for n in names
    ]
    if whole:
        raw = (reject.fixed or reject.raw).rstrip("\r\n")
        fields = [{"name": "The line", "was": raw, "value": draft.get("The line", raw), "hot": False}]
    rest = len(fields) - SHOWN
    _editor(
        key=key,
        data={
            "id": f"{reject.id}-{reject.fixed}",
            "whole": whole,
            "fields": fields,
            "shown": SHOWN if rest > 0 else len(fields),
            "more": f"{rest:,} more fields" if rest > 1 else "1 more field",
            "verdict": verdict.told if verdict else off or "Change a value: it is checked against the mapping as you type.",
            "tone": verdict.tone if verdict else "muted",
            "failed": verdict.failed if verdict else {},
            "judged": verdict is not None,
            "off": off is not None,
        },
        on_typed_change=typed,
        on_stepped_change=stepped,
    )  # fmt: skip
