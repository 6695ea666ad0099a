"""The list of a `map` step: each value of the field with its rows and what it becomes, near-duplicates to merge."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.client import Client
from app.widgets import access, acts, words
from app.widgets import mapping_draft as drafting
from app.widgets.drafts import Draft

HTML = """<div class="vm"></div>"""
CSS = """
.vm { font: 400 13px/18px var(--st-font); color: var(--text); font-feature-settings: "tnum", "cv05"; } .row { display: flex; align-items: center; gap: 8px; } .sp { flex: 1; } .m { color: var(--muted); } .s { font-size: 12px; }
h3 { font: 600 13px/20px var(--st-font); margin: 0; } .row { margin: 12px 0 6px; } .scroll { max-height: 300px; overflow: auto; border: 1px solid var(--border); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; } th { position: sticky; top: 0; z-index: 1; background: var(--bg-2); font: 500 12px/28px var(--st-font); color: var(--muted); text-align: left; padding: 0 8px; border-bottom: 1px solid var(--border); } td { padding: 3px 8px; border-bottom: 1px solid var(--border); } tr:last-child td { border-bottom: 0; } .n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; width: 64px; } td.v { overflow-wrap: anywhere; } .new td.v { font-weight: 600; }
input { box-sizing: border-box; width: 100%; height: 28px; border: 1px solid var(--border-2); border-radius: 6px; background: var(--bg); color: var(--text); font: inherit; padding: 0 8px; } input::placeholder { color: var(--muted); opacity: 1; } input.find { width: 220px; }
.c { padding: 6px 8px; border-bottom: 1px solid var(--border); display: grid; grid-template-columns: minmax(0, 1fr) 200px auto; gap: 4px 12px; align-items: center; } .c:last-child { border: 0; } .c .chips { display: flex; flex-wrap: wrap; gap: 4px; } .chip { border-radius: 4px; background: var(--bg-3); padding: 0 6px; font-size: 12px; line-height: 20px; overflow-wrap: anywhere; }
.b { border: 1px solid var(--border); border-radius: 6px; background: var(--bg); color: var(--text); font: 500 12px/26px var(--st-font); padding: 0 10px; cursor: pointer; white-space: nowrap; } .b:hover { background: var(--bg-2); } .a { border: 0; background: none; padding: 0; color: var(--accent-text); font: 500 12px/20px var(--st-font); cursor: pointer; }
button:focus-visible, input:focus-visible, [tabindex]:focus-visible { outline: 2px solid var(--accent-text); outline-offset: 1px; } p { margin: 8px; color: var(--muted); }
"""
JS = r"""
export default function ({ data, parentElement: root, setTriggerValue }) {
  const box = root.querySelector('.vm'), s = box.s || (box.s = { find: '' }), acts = queue(box, data.heard, setTriggerValue), told = JSON.stringify(data); if (acts.acts.length || s.told === told) return; s.told = told;
  const el = (tag, cls, ...kids) => { const e = document.createElement(tag); if (cls) e.className = cls; for (const k of kids) if (k !== null && k !== undefined) e.append(k); return e; };
  const send = acts.send;
  const count = n => n.toLocaleString('en');
  const at = box.getRootNode().activeElement, k = at && at.dataset ? at.dataset.k : null, old = box.querySelector('.vals'), top = old ? old.scrollTop : 0;
  const words = el('datalist'); words.id = 'words-on-offer'; for (const w of data.words) { const o = el('option'); o.value = w; words.append(o); }
  const write = (value, k, label, take, hint) => { const e = el('input'); e.value = value; e.dataset.k = k; e.dataset.was = value; e.placeholder = hint || ''; e.setAttribute('aria-label', label); e.setAttribute('list', 'words-on-offer'); e.autocomplete = 'off'; if (take) { e.onblur = () => { if (e.value !== e.dataset.was) { e.dataset.was = e.value; take(e.value); } }; e.onkeydown = ev => { if (ev.key === 'Enter') { const all = [...box.querySelectorAll('.vals input')], next = all[all.indexOf(e) + 1]; if (next) next.focus(); else e.blur(); } else if (ev.key === 'Escape' && e.value !== e.dataset.was) { ev.stopPropagation(); e.value = e.dataset.was; } }; } return e; };
  const parts = [words];
  if (data.clusters.length) {
    const list = el('div', 'scroll'); list.style.maxHeight = '180px'; list.tabIndex = 0; list.setAttribute('role', 'region'); list.setAttribute('aria-label', 'Near-duplicates'); const all = [];
    data.clusters.forEach((c, i) => { const into = write(c.best, 'c' + i, 'Merge ' + c.values.map(v => v.value).join(', ') + ' into', null), chips = el('div', 'chips'); for (const v of c.values) chips.append(el('span', 'chip', v.value + '  ' + count(v.rows))); all.push(() => ({ values: c.values.map(v => v.value), into: into.value }));
      const b = el('button', 'b', 'Merge'); b.type = 'button'; b.dataset.k = 'm' + i; b.onclick = () => send('merge', { clusters: [all[i]()] }); list.append(el('div', 'c', el('div', '', chips, el('div', 's m', c.why)), into, b)); });
    const every = el('button', 'b', 'Merge all ' + count(data.clusters.length)); every.type = 'button'; every.dataset.k = 'every'; every.onclick = () => send('merge', { clusters: all.map(f => f()) });
    parts.push(el('div', 'row', el('h3', '', 'Near-duplicates'), el('span', 's m', 'one undo takes a merge back'), el('span', 'sp'), every), list);
  }
  const find = el('input', 'find'); find.placeholder = 'Find a value'; find.setAttribute('aria-label', 'Find a value'); find.value = s.find; find.dataset.k = 'find';
  const scroll = el('div', 'scroll vals'); scroll.tabIndex = 0; scroll.setAttribute('role', 'region'); scroll.setAttribute('aria-label', 'Values');
  const fill = () => {
    const table = el('table'), body = el('tbody'), head = el('tr'); for (const [t, c] of [['Value', ''], ['Rows', 'n'], ['Becomes', '']]) { const th = el('th', c, t); th.scope = 'col'; head.append(th); } table.append(el('thead', '', head), body);
    const shown = data.values.filter(v => v.value.toLowerCase().includes(s.find.toLowerCase()));
    for (const v of shown) body.append(el('tr', v.known ? '' : 'new', el('td', 'v', v.value), el('td', 'n', count(v.rows)), el('td', '', write(v.known ? v.becomes || '' : '', 'v' + v.value, 'What ' + v.value + ' becomes', text => send('set', { value: v.value, becomes: text }), v.known ? 'empty' : data.others))));
    scroll.replaceChildren(shown.length ? table : el('p', '', 'No value holds that.'));
  };
  find.oninput = () => { s.find = find.value; fill(); };
  parts.push(el('div', 'row', el('h3', '', 'Values'), el('span', 's m', data.says), el('span', 'sp'), find), scroll); fill();
  box.replaceChildren(...parts); scroll.scrollTop = top;
  if (k) { const back = [...box.querySelectorAll('[data-k]')].find(e => e.dataset.k === k); if (back) back.focus({ preventScroll: true }); }
}
"""
_map = acts.component("spire_value_map", html=HTML, css=CSS, js=JS)

OTHERS = {"keep": "stays as it is", "null": "left empty", "reject": "the row goes to quarantine"}
Data = dict[str, Any]


def value_map(client: Client, edited: Draft, field: Any, place: int, key: str) -> None:
    """Draw the editor over the page until it is closed; `key` is where the session keeps that it is open."""
    steps = (drafting.field_of(edited, field.name) or {}).get("steps", [])
    if place >= len(steps) or steps[place]["step"] != "map":
        st.session_state.pop(key, None)
        return
    shown = st.dialog(
        f"Values of {field.name}", width="large", on_dismiss=lambda: st.session_state.pop(key, None)
    )(_editor)
    shown(client, edited, field, place, key)


def _editor(client: Client, edited: Draft, field: Any, place: int, key: str) -> None:
    now = edited.now
    step = _step(edited, field, place)
    given = step.get("options", {})
    row = st.container(horizontal=True, gap="small", vertical_alignment="bottom")
    whole = row.toggle("All rows, not a sample", key=f"{key}-whole")
    found = access.attempt(client.values, now["source"], now["mappings"], field.name, at=now["at"], step=place, whole=whole)  # fmt: skip
    if found is None:
        st.html(f'<div class="sp-notice">{st.session_state.pop("problem").title}</div>')
        return
    vocabularies = {v.name: v for v in client.vocabularies()}
    own = given.get("vocabulary") or field.vocabulary or ""
    names = ["", *sorted(vocabularies)]
    chosen = row.selectbox(
        "Words on offer", names, index=names.index(own) if own in names else 0, key=f"{key}-vocabulary",
        format_func=lambda name: name or "those used here", width=300,
    )  # fmt: skip
    used = {str(v) for v in (given.get("values") or {}).values() if v}
    data = {
        "values": [v.model_dump() for v in found.values],
        "clusters": [c.model_dump() for c in found.clusters],
        "words": sorted({*used, *(vocabularies[chosen].values if chosen else ())}),
        "others": OTHERS.get(given.get("otherwise", "keep"), f"becomes {given.get('value')}"),
        "says": _says(found),
    }

    if given.get("vocabulary"):
        st.caption(
            f"The list is the vocabulary {given['vocabulary']}. A word given here makes it a list of your own."
        )
    acts.draw(
        _map,
        data,
        key=f"{key}-map",
        acted=lambda told: access.attempt(_act, edited, field, place, told, found),
    )


def _act(edited: Draft, field: Any, place: int, told: Data, found: Any) -> None:
    given = _step(edited, field, place).get("options", {})
    if given.get("values") is not None:
        values = dict(given["values"])
    else:
        values = {v.value: v.becomes for v in found.values if v.known}
    if told["act"] == "set":
        values = written(values, {told["value"]: told["becomes"]})
    else:
        for cluster in told["clusters"]:
            values = written(values, dict.fromkeys(cluster["values"], cluster["into"]))
    options = {name: value for name, value in given.items() if name not in ("values", "vocabulary")}
    mapped = dict(drafting.field_of(edited, field.name) or {})
    steps = list(mapped["steps"])
    steps[place] = {"step": "map", "options": {**options, "values": values}}
    drafting.put(edited, field.name, {**mapped, "steps": steps})


def written(values: dict[str, str | None], more: dict[str, str]) -> dict[str, str | None]:
    """A list with more words in it. Case and outer spaces don't count, so a word stands once; blank takes it out."""
    folded = {word.strip().lower() for word in more}
    kept = {word: result for word, result in values.items() if word.strip().lower() not in folded}
    # Of words that are one to the list, the last one told counts.
    new = {word.strip().lower(): (word, result) for word, result in more.items()}
    return {**kept, **{word: result for word, result in new.values() if result.strip()}}


def _step(edited: Draft, field: Any, place: int) -> Data:
    found: Data = (drafting.field_of(edited, field.name) or {})["steps"][place]
    return found


def _says(found: Any) -> str:
    left = f"{words.count(found.unknown, 'value')} not in the list, " if found.unknown else ""
    shown = f", the first {len(found.values):,} shown" if found.distinct > len(found.values) else ""
    empty = f", {words.count(found.empty, 'row')} without a value" if found.empty else ""
    return f"{left}{found.distinct:,} in all{shown}{empty}; {found.extent}"
