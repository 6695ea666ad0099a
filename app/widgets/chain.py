"""The chain of one field as one component: each step in plain words with the value after it, edited in place.

It draws what it is given and tells one act at a time; nothing of a mapping is decided in the browser.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import SequenceMatcher
from typing import Any

from app.widgets import acts

HTML = """<div class="chain"></div>"""
CSS = """
.chain { font: 400 13px/18px var(--st-font); color: var(--text); font-feature-settings: "tnum", "cv05"; display: grid; grid-template-columns: minmax(0, 1fr); }
.row { display: flex; align-items: center; gap: 8px; min-width: 0; } .sp { flex: 1; } .m { color: var(--muted); } .s { font-size: 12px; line-height: 16px; } .bad { color: var(--bad-text); } .cut { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; min-width: 0; }
.top { position: absolute; z-index: 1; top: 7px; right: 12px; }
.seg { display: inline-flex; border: 1px solid var(--border); border-radius: 6px; overflow: hidden; flex: none; } .seg button { border: 0; background: none; color: var(--muted); font: 400 12px/24px var(--st-font); padding: 0 8px; cursor: pointer; } .seg button + button { border-left: 1px solid var(--border); } .seg button[aria-pressed=true] { background: var(--bg-3); color: var(--text); font-weight: 600; }
.v { font: 12px/18px var(--mono); font-feature-settings: normal; padding-left: 24px; overflow-wrap: anywhere; white-space: pre-wrap; max-height: 54px; overflow: auto; } .v mark { background: var(--changed); color: var(--changed-text); border-radius: 2px; } .v i { font-style: normal; opacity: .55; } .v.none, .v.lost { font-family: var(--st-font); } .v.none { color: var(--muted); } .v.lost { color: var(--bad-text); }
.st { border-top: 1px solid var(--border); padding: 6px 0; position: relative; } .st.open { background: var(--bg-2); margin: 0 -12px; padding: 6px 12px 8px; } .st.open + .st { border-top-color: var(--border); }
.st .t { font: 600 13px/18px var(--st-font); color: var(--text); background: none; border: 0; padding: 0; cursor: pointer; text-align: left; flex: 0 1 auto; } .st .t:hover { text-decoration: underline; text-decoration-color: var(--border-2); text-underline-offset: 3px; } .st .d { font-weight: 400; color: var(--muted); font-size: 12px; flex: 1 1 0; }
.h { width: 16px; height: 18px; flex: none; border: 0; background: none; padding: 0; color: var(--muted); cursor: grab; border-radius: 3px; } .h svg { width: 16px; height: 16px; display: block; } .h:active { cursor: grabbing; }
.st.above::before, .st.below::after { content: ""; position: absolute; left: 0; right: 0; height: 2px; background: var(--accent-text); } .st.above::before { top: -1px; } .st.below::after { bottom: -1px; } .st.drag { opacity: .5; }
.n { font-size: 12px; color: var(--muted); white-space: nowrap; flex: none; } button.n { border: 0; background: none; padding: 0; font: 500 12px/18px var(--st-font); cursor: pointer; } button.n.bad { color: var(--bad-text); } button.n:hover { text-decoration: underline; }
.f { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 6px 8px; padding: 6px 0 6px 24px; align-items: end; } .f > * { min-width: 0; } .f .wide { grid-column: 1 / -1; } label { display: block; font-size: 12px; line-height: 16px; color: var(--muted); }
input:not([type=checkbox]), select, textarea { box-sizing: border-box; width: 100%; min-height: 28px; border: 1px solid var(--border-2); border-radius: 6px; background: var(--bg); color: var(--text); font: 400 13px/18px var(--st-font); padding: 4px 8px; margin-top: 2px; } textarea { resize: vertical; display: block; } textarea.code { font: 12px/17px var(--mono); font-feature-settings: normal; white-space: pre-wrap; } input[aria-invalid=true], textarea[aria-invalid=true] { border-color: var(--bad); } label.c { display: flex; align-items: center; gap: 6px; color: var(--text); min-height: 28px; } input[type=checkbox] { accent-color: var(--accent); margin: 0; }
.acts { display: flex; gap: 12px; padding-left: 24px; flex-wrap: wrap; } .a { border: 0; background: none; padding: 0; color: var(--accent-text); font: 500 12px/20px var(--st-font); cursor: pointer; white-space: nowrap; } .a.wrap { white-space: normal; text-align: right; line-height: 16px; margin-left: auto; } .a:hover { text-decoration: underline; }
.b { border: 1px solid var(--border); border-radius: 6px; background: var(--bg); color: var(--text); font: 500 12px/22px var(--st-font); padding: 0 8px; cursor: pointer; white-space: nowrap; } .b:hover { background: var(--bg-2); }
button:focus-visible, input:focus-visible, select:focus-visible, textarea:focus-visible, [tabindex]:focus-visible { outline: 2px solid var(--accent-text); outline-offset: 1px; }
.st .say { margin-left: 24px; } .say { border-left: 3px solid var(--bad); background: var(--bad-soft); border-radius: 4px; padding: 4px 8px; margin: 6px 0; font-size: 12px; } .say.wait { border-color: var(--wait); background: var(--wait-soft); }
.foot { border-top: 1px solid var(--border); padding-top: 8px; }
.pick { border: 1px solid var(--border); border-radius: 6px; margin-top: 8px; overflow: hidden; } .pick input { border: 0; border-bottom: 1px solid var(--border); border-radius: 0; margin: 0; } .pick ul { list-style: none; margin: 0; padding: 4px 0; max-height: 220px; overflow: auto; } .pick li { padding: 4px 8px; cursor: pointer; } .pick li.hd { cursor: default; color: var(--muted); font-size: 12px; padding-top: 6px; } .pick li[aria-selected=true] { background: var(--bg-3); } .pick li b { font-weight: 500; } .pick li .s { display: block; color: var(--muted); } .pick li .acc { color: var(--accent-text); }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
"""
JS = r"""
const GRIP = '<svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" aria-hidden="true"><path d="M6 4v.1M10 4v.1M6 8v.1M10 8v.1M6 12v.1M10 12v.1"/></svg>';
export default function ({ data: given, parentElement: root, setTriggerValue }) {
  const box = root.querySelector('.chain'), s = box.s || (box.s = { mode: '', open: null, adding: false, find: '', at: 0 });
  const acts = queue(box, given.heard, setTriggerValue), told = JSON.stringify(given); if (acts.acts.length || s.told === told) return; s.told = told;
  const data = JSON.parse(told);
  if (s.field !== data.field) { Object.assign(s, { field: data.field, mode: data.origin === 'sql' ? 'sql' : 'steps', open: null, adding: false, find: '' }); }
  if (data.open !== null && data.open !== s.offered) s.open = data.open; s.offered = data.open;
  if (data.steps !== s.steps) { s.adding = false; s.find = ''; } s.steps = data.steps;
  const el = (tag, cls, ...kids) => { const e = document.createElement(tag); if (cls) e.className = cls; for (const k of kids) if (k !== null && k !== undefined) e.append(k); return e; };
  const send = acts.send;
  // What a person did to the order of the steps stands at once, so that the next act means what they see.
  const lay = change => { const ends = data.stages.filter(x => x.place === null), steps = data.stages.filter(x => x.place !== null); change(steps); steps.forEach((x, n) => { if (x.place !== n) Object.assign(x, { place: n, unknown: true, changes: '', fails: '' }); }); data.steps = s.steps = steps.length; data.stages = [...ends.slice(0, 1), ...steps, ...ends.slice(1)]; draw(); };
  const move = (from, to) => { send('move', { place: from, to }); lay(steps => steps.splice(to, 0, ...steps.splice(from, 1))); };
  const remove = place => { send('remove', { place }); lay(steps => steps.splice(place, 1)); };
  const button = (cls, text, k, run, label) => { const b = el('button', cls, text); b.type = 'button'; b.dataset.k = k; if (label) b.setAttribute('aria-label', label); b.onclick = run; return b; };
  const spaced = (into, text) => { for (const piece of text.split(/(^ +| +$| {2,}|\t|\n)/)) { if (/^[ \t\n]+$/.test(piece)) { const dots = el('i', '', piece.replace(/ /g, '·').replace(/\t/g, '→').replace(/\n/g, '↵')); into.append(dots); } else if (piece) into.append(piece); } };
  const value = st => {
    if (st.lost) { const v = el('div', 'v lost', st.lost); return v; }
    if (st.value === null) return el('div', 'v none', 'no value');
    const v = el('div', 'v'); v.tabIndex = st.value.length > 150 ? 0 : -1; if (v.tabIndex === 0) { v.setAttribute('role', 'region'); v.setAttribute('aria-label', 'Value after ' + st.title); }
    for (const [text, on] of st.parts) { const into = on ? el('mark') : v; spaced(into, text); if (on) v.append(into); }
    if (!st.parts.length) v.append(el('i', '', 'empty text'));
    return v;
  };
  const trouble = () => { const p = el('div', 'say' + (data.lacks.length ? ' wait' : ''), data.problem + ' '); p.setAttribute('role', 'alert'); if (data.pending) p.append(button('a', 'Put it back', 'back', () => { s.open = null; send('discard', {}); })); return p; };
  function field(place, i) {
    const k = 'o' + place + i.name, commit = v => send('option', { place, name: i.name, value: v });
    const hold = e => { e.dataset.k = k; e.dataset.was = e.value; if (i.help) e.title = i.help; if (data.lacks.includes(i.name) && place === data.open) e.setAttribute('aria-invalid', 'true');
      e.onblur = () => { if (e.value !== e.dataset.was) { e.dataset.was = e.value; commit(e.value); } };
      e.onkeydown = ev => { if (ev.key === 'Enter' && (e.tagName !== 'TEXTAREA' || ev.ctrlKey || ev.metaKey)) { ev.preventDefault(); e.onblur(); } else if (ev.key === 'Escape') { e.value = e.dataset.was; } }; return e; };
    if (i.as === 'check') { const c = el('input'); c.type = 'checkbox'; c.checked = i.value; c.dataset.k = k; c.onchange = () => commit(c.checked); const l = el('label', 'c', c, i.label); if (i.help) l.title = i.help; return l; }
    if (i.as === 'pairs') return el('label', 'wide', i.label, el('div', '', button('a', i.value ? 'Edit ' + i.value + (i.value === 1 ? ' word' : ' words') : 'Choose words', k, () => send('values', { place }))));
    if (i.as === 'select') { const e = el('select'); for (const [w, t] of i.options) { const o = el('option', '', t); o.value = w; e.append(o); } if (!i.options.some(o => o[0] === i.value)) { const o = el('option', '', i.value || ''); o.value = i.value || ''; e.prepend(o); } e.value = i.value; e.dataset.k = k; if (i.help) e.title = i.help; e.onchange = () => commit(e.value); return el('label', '', i.label, e); }
    if (i.as === 'many') { const e = el('select'); e.dataset.k = k; const first = el('option', '', i.value.length ? 'Add another…' : 'Choose a field…'); first.value = ''; e.append(first); for (const w of i.options) if (!i.value.includes(w)) { const o = el('option', '', w); o.value = w; e.append(o); } e.onchange = () => e.value && commit([...i.value, e.value]);
      const l = el('div', 'wide', el('label', '', i.label, e)), r = el('div', 'row'); r.style.flexWrap = 'wrap'; for (const w of i.value) r.append(button('b', w + ' ×', k + w, () => commit(i.value.filter(x => x !== w)), 'Take out ' + w)); if (i.value.length) { r.style.marginTop = '4px'; l.append(r); } return l; }
    if (i.as === 'lines') { const e = el('textarea'); e.rows = Math.min(4, Math.max(1, i.value.split('\n').length)); e.value = i.value; e.placeholder = 'one a line'; return el('label', 'wide', i.label, hold(e)); }
    const e = el('input'); e.value = i.value; e.placeholder = i.hint; if (i.as === 'number') e.inputMode = 'decimal'; e.autocomplete = 'off'; e.spellcheck = false; return el('label', i.wide ? 'wide' : '', i.label, hold(e));
  }
  function stage(st) {
    const open = s.open === st.place, row = el('div', 'row'), card = el('div', 'st' + (open ? ' open' : '')); card.setAttribute('role', 'listitem'); card.dataset.place = st.place;
    const grip = button('h', '', 'h' + st.place, () => 0, 'Move ' + st.title + ', step ' + (st.place + 1) + ' of ' + data.steps + '. Arrow keys move it, Delete removes it.'); grip.innerHTML = GRIP; grip.draggable = data.edit; grip.title = 'Drag to move; arrow keys, Delete';
    grip.onkeydown = e => { const by = { ArrowUp: -1, ArrowDown: 1 }[e.key]; if (by && data.edit) { e.preventDefault(); const to = st.place + by; if (to >= 0 && to < data.steps) { s.focus = 'h' + to; s.open = s.open === st.place ? to : s.open === to ? st.place : s.open; move(st.place, to); } } else if (e.key === 'Delete' && data.edit) { e.preventDefault(); s.focus = 'add'; remove(st.place); } };
    grip.ondragstart = e => { s.drag = st.place; e.dataTransfer.setData('text/plain', String(st.place)); e.dataTransfer.effectAllowed = 'move'; e.dataTransfer.setDragImage(card, 8, 8); card.classList.add('drag'); };
    grip.ondragend = () => { s.drag = null; box.querySelectorAll('.above,.below,.drag').forEach(c => c.classList.remove('above', 'below', 'drag')); };
    card.ondragover = e => { if (s.drag === null || s.drag === undefined) return; e.preventDefault(); const r = card.getBoundingClientRect(), low = e.clientY > r.top + r.height / 2; card.classList.toggle('below', low); card.classList.toggle('above', !low); };
    card.ondragleave = () => card.classList.remove('above', 'below');
    card.ondrop = e => { if (s.drag === null || s.drag === undefined) return; e.preventDefault(); const low = card.classList.contains('below'), from = s.drag; let to = st.place + (low ? 1 : 0); if (to > from) to--; grip.ondragend(); if (to !== from) { s.open = null; move(from, to); } };
    const title = button('t cut', st.title, 't' + st.place, () => { s.open = open ? null : st.place; draw(); }); title.setAttribute('aria-expanded', String(open)); title.title = st.summary;
    row.append(grip, title, el('span', 'd cut', open ? '' : st.brief));
    if (st.fails) row.append(button('n bad', st.fails, 'x' + st.place, () => send('line', { line: st.failing }), st.fails + '; show a row that fails here')); else row.append(el('span', 'n', st.changes));
    card.append(row);
    if (open) {
      if (!st.inputs.length) card.append(el('div', 's m', st.summary));
      const f = el('div', 'f'); for (const i of st.inputs) f.append(field(st.place, i)); if (st.inputs.length) card.append(f); else card.lastChild.style.padding = '2px 0 4px 24px';
    }
    if (open && data.problem && data.open === st.place) card.append(trouble()); else if (!st.unknown) card.append(value(st));
    if (open && data.edit) card.append(el('div', 'acts', button('a', 'Duplicate', 'c' + st.place, () => send('copy', { place: st.place })), button('a', 'Remove', 'r' + st.place, () => { s.open = null; s.focus = 'add'; remove(st.place); }), button('a', 'Write as SQL', 'q' + st.place, () => { s.mode = 'sql'; send('upto', { place: st.place }); }, 'Write the steps up to here as SQL')));
    return card;
  }
  function picker() {
    const find = el('input'), list = el('ul'); find.dataset.k = 'find'; find.placeholder = 'Find a step: split, date, lower…'; find.value = s.find; find.setAttribute('role', 'combobox'); find.setAttribute('aria-label', 'Find a step'); find.setAttribute('aria-expanded', 'true'); find.setAttribute('aria-controls', 'steps-on-offer'); list.id = 'steps-on-offer'; list.setAttribute('role', 'listbox'); list.setAttribute('aria-label', 'Steps');
    let items = [];
    const fill = () => {
      const words = s.find.toLowerCase().split(/\s+/).filter(Boolean), hit = t => words.every(w => t.toLowerCase().includes(w)); list.replaceChildren(); items = [];
      const add = (title, note, act, more, why) => { const li = el('li', '', el('b', '', title), why ? el('span', 's acc', ' ' + why) : null, el('span', 's', note)); li.setAttribute('role', 'option'); li.id = 'pick-' + items.length; const n = items.length; li.onmousedown = e => { e.preventDefault(); send(act, more); }; li.onmousemove = () => { if (s.at !== n) { s.at = n; mark(); } }; items.push({ li, run: () => send(act, more) }); list.append(li); };
      const head = t => { const h = el('li', 'hd', t); h.setAttribute('role', 'presentation'); list.append(h); };
      const offers = (data.offers || []).filter(o => hit(o.title + ' ' + o.why)); if (offers.length) { head('The values ask for'); offers.forEach(o => add(o.title, o.why, 'offer', { kind: o.kind, index: o.index }, o.does)); }
      let group = ''; for (const a of data.add.filter(a => hit(a.title + ' ' + a.summary + ' ' + a.step))) { if (a.group !== group) { group = a.group; head(group.charAt(0).toUpperCase() + group.slice(1)); } add(a.title, a.summary, 'add', { step: a.step }); }
      if (data.offers === null && !words.length) { const h = el('li', 'hd', 'Looking at the values…'); h.setAttribute('role', 'presentation'); list.prepend(h); } if (!items.length) head('No step is called so.'); s.at = Math.min(s.at, Math.max(0, items.length - 1)); mark();
    };
    const mark = () => items.forEach(({ li }, n) => { li.setAttribute('aria-selected', String(n === s.at)); if (n === s.at) { find.setAttribute('aria-activedescendant', li.id); li.scrollIntoView({ block: 'nearest' }); } });
    find.oninput = () => { s.find = find.value; s.at = 0; fill(); };
    find.onkeydown = e => { if (e.key === 'ArrowDown' || e.key === 'ArrowUp') { e.preventDefault(); s.at = (s.at + (e.key === 'ArrowDown' ? 1 : -1) + items.length) % Math.max(1, items.length); mark(); } else if (e.key === 'Enter') { e.preventDefault(); if (items[s.at]) items[s.at].run(); } else if (e.key === 'Escape') { s.adding = false; s.focus = 'add'; draw(); } };
    fill(); return el('div', 'pick', find, list);
  }
  function draw() {
    const at = box.getRootNode().activeElement, k = s.focus || (at && at.dataset ? at.dataset.k : null), dirty = at && at.dataset && at.dataset.was !== undefined && at.value !== at.dataset.was && !s.focus ? [at.value, at.selectionStart] : null; s.focus = null;
    const parts = [], seg = el('span', 'seg'); seg.setAttribute('role', 'group'); seg.setAttribute('aria-label', 'Written as');
    for (const [m, t] of [['steps', 'Steps'], ['sql', 'SQL']]) { const b = button('', t, 'm' + m, () => { s.mode = m; draw(); }); b.setAttribute('aria-pressed', String(s.mode === m)); seg.append(b); }
    parts.push(el('div', 'top', seg));
    if (data.problem && (data.open === null || s.open !== data.open || s.mode === 'sql')) parts.push(trouble());
    if (s.mode === 'sql') {
      const e = el('textarea', 'code'), take = () => { if (e.value.trim() && e.value !== e.dataset.was) { e.dataset.was = e.value; send('sql', { text: e.value }); } }; e.rows = Math.min(14, Math.max(5, Math.ceil(data.sql.length / 40))); e.value = data.sql; e.dataset.was = data.sql; e.dataset.k = 'sql'; e.spellcheck = false; e.setAttribute('aria-label', 'SQL of this field'); e.onkeydown = ev => { if (ev.key === 'Enter' && (ev.ctrlKey || ev.metaKey)) { ev.preventDefault(); take(); } };
      parts.push(e, el('div', 'row', el('span', 's m', data.origin === 'sql' ? 'Over source fields.' : 'What the steps do. Edited, it takes their place.'), el('span', 'sp'), button('b', 'Use this SQL', 'use', take)));
      parts[parts.length - 1].style.padding = '6px 0 8px';
      if (data.stages.length) parts.push(el('div', 'st', el('div', 's m', data.line), value(data.stages[data.stages.length - 1])));
    }
    if (s.mode !== 'sql' && data.constant !== null) parts.push(el('div', 'f', field(-1, { name: 'constant', label: 'Constant', as: 'text', value: data.constant, help: '', hint: '', wide: true })));
    if (s.mode !== 'sql' || data.origin === 'sql') {
      const list = el('div'); list.setAttribute('role', 'list'); list.setAttribute('aria-label', 'Steps of ' + data.field);
      if (s.mode !== 'sql' && data.stages.length) { const f = el('div', '', el('div', 's m', data.line), value(data.stages[0])); f.firstChild.style.paddingLeft = '24px'; f.style.paddingBottom = '6px'; f.setAttribute('role', 'listitem'); list.append(f); }
      for (const st of data.stages) if (st.place !== null) list.append(stage(st));
      const last = data.stages[data.stages.length - 1];
      if (s.mode !== 'sql' && last && last.shown) { const c = el('div', 'st', el('div', 'row', el('span', 's m', last.title), el('span', 'sp'), last.fails ? button('n bad', last.fails, 'xlast', () => send('line', { line: last.failing }), last.fails + '; show a row that fails here') : el('span', 'n', last.changes)), value(last)); c.firstChild.style.paddingLeft = '24px'; c.setAttribute('role', 'listitem'); list.append(c); }
      parts.push(list);
      for (const b of data.broken) { const r = el('div', 'row st s', el('span', b.here ? 'bad' : 'm', b.says), el('span', 'sp'), el('span', 'n', b.rows)); r.style.paddingLeft = '24px'; parts.push(r); }
      const add = button('b', '+ Add step', 'add', () => { s.adding = !s.adding; s.at = 0; if (s.adding) s.focus = 'find'; draw(); }); add.setAttribute('aria-expanded', String(s.adding));
      if (data.edit) { const foot = el('div', 'row foot', add); if (data.repair) foot.append(button('a wrap', data.repair, 'fix', () => send('offer', { kind: 'repairs', index: 0 }))); parts.push(foot); }
      if (s.adding && data.edit) parts.push(picker());
    }
    box.replaceChildren(...parts);
    if (k) { const back = box.querySelector('[data-k="' + CSS.escape(k) + '"]'); if (back && (s.want || at)) { back.focus({ preventScroll: true }); if (dirty && back.dataset.was !== undefined) { back.value = dirty[0]; if (back.setSelectionRange) back.setSelectionRange(dirty[1], dirty[1]); } } }
  }
  draw();
  // What could come next is asked for once the chain stands, so that nothing waits for it.
  clearTimeout(s.asking); if (data.offers === null) s.asking = setTimeout(() => send('ask', {}), 120);
}
"""
_chain = acts.component("spire_chain", html=HTML, css=CSS, js=JS)

LONGEST = 400


def draw(data: dict[str, Any], *, key: str, acted: Callable[[dict[str, Any]], None]) -> None:
    """Draw the chain; `acted` hears what a person did, before the page is drawn again."""
    acts.draw(_chain, data, key=key, acted=acted)


def parts(before: str | None, after: str | None) -> list[tuple[str, bool]]:
    """A value in pieces, those that are new marked."""
    text = after or ""
    cut = text[:LONGEST] + ("…" if len(text) > LONGEST else "")
    if not text or before is None or before == after:
        return [(cut, False)] if cut else []
    matcher = SequenceMatcher(None, before[:LONGEST], cut, autojunk=False)
    return [(cut[k:end], how != "equal") for how, _, _, k, end in matcher.get_opcodes() if end > k]
