"""The SQL editor: a text box that knows the tenant's tables, marks where an error is, and can stop what it asked.

Tab or Enter takes the marked word, arrows choose, Escape closes the list; Ctrl-Enter asks. A query is
stopped from here straight through the API, for the page waits for its answer meanwhile.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.widgets import access

# What a reader's SELECT is made of, and the functions asked for most; DuckDB knows many more.
WORDS = (
    "SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "HAVING", "LIMIT", "OFFSET", "DISTINCT", "AS", "AND", "OR",
    "NOT", "IN", "IS NULL", "IS NOT NULL", "LIKE", "ILIKE", "BETWEEN", "CASE", "WHEN", "THEN", "ELSE", "END", "JOIN",
    "LEFT JOIN", "ANTI JOIN", "SEMI JOIN", "ON", "USING", "UNION ALL", "WITH", "DESC", "ASC", "NULLS LAST", "QUALIFY",
    "EXCLUDE", "UNNEST", "INTERVAL", "OVER", "PARTITION BY", "count(*)", "count(DISTINCT ", "sum(", "avg(", "min(",
    "max(", "any_value(", "arg_max(", "list(", "list_contains(", "string_agg(", "date_trunc('day', ",
    "date_trunc('month', ", "date_diff('day', ", "lower(", "contains(", "starts_with(", "regexp_matches(",
    "regexp_extract(", "split_part(", "coalesce(", "json_extract_string(", "round(", "approx_count_distinct(",
)  # fmt: skip
HTML = """
<div class="q"><div class="edit"><div class="back" aria-hidden="true"></div><textarea spellcheck="false" autocomplete="off" autocapitalize="off" wrap="off" role="combobox" aria-autocomplete="list" aria-expanded="false" aria-label="SQL"></textarea>
<ul role="listbox" aria-label="Completions" hidden></ul></div>
<div class="row"><button type="button" class="go">Run</button><button type="button" class="stop" hidden>Cancel</button><span class="state" role="status" aria-live="polite"></span><span class="keys"></span></div></div>
"""
CSS = """
.q { font: 400 13px/20px var(--st-font); color: var(--text); display: grid; gap: 8px; }
.edit { position: relative; border: 1px solid var(--border-2); border-radius: 6px; background: var(--bg); } .edit:focus-within { outline: 2px solid var(--accent-text); outline-offset: -1px; }
textarea, .back { font: 400 13px/20px var(--mono); font-feature-settings: normal; tab-size: 2; padding: 8px 12px; white-space: pre; box-sizing: border-box; margin: 0; }
textarea { display: block; position: relative; width: 100%; min-height: 124px; max-height: 420px; border: 0; outline: 0; resize: vertical; background: transparent; color: var(--text); overflow: auto; }
.back { position: absolute; inset: 0; overflow: hidden; color: transparent; pointer-events: none; } .back mark { color: transparent; background: var(--bad-soft); box-shadow: 0 2px 0 var(--bad); }
ul { position: absolute; z-index: 5; margin: 0; padding: 4px; list-style: none; min-width: 240px; max-width: 420px; max-height: 212px; overflow: auto; background: var(--raised); border: 1px solid var(--border); border-radius: 6px; box-shadow: var(--shadow); }
li { display: flex; justify-content: space-between; gap: 16px; padding: 2px 8px; border-radius: 4px; cursor: pointer; font: 400 13px/20px var(--mono); font-feature-settings: normal; } li[aria-selected="true"] { background: var(--bg-3); } li span { color: var(--muted); font: 400 12px/20px var(--st-font); white-space: nowrap; overflow: hidden; text-overflow: ellipsis; } li b { font-weight: 600; }
.row { display: flex; gap: 8px; align-items: center; min-height: 32px; } button { height: 32px; padding: 0 14px; font: 500 13px/30px var(--st-font); border-radius: 6px; cursor: pointer; border: 1px solid var(--border); background: var(--bg); color: var(--text); } button.go { background: var(--accent); border-color: var(--accent); color: #fff; } button:disabled { background: var(--bg-3); border-color: var(--bg-3); color: var(--muted); cursor: default; }
button:focus-visible { outline: 2px solid var(--accent-text); outline-offset: 2px; } .state { font-variant-numeric: tabular-nums; } .keys { margin-left: auto; color: var(--muted); font-size: 12px; } [hidden] { display: none !important; }
"""
JS = """
export default function ({ data, parentElement: root, setTriggerValue }) {
  const q = root.querySelector('.q'), text = q.querySelector('textarea'), back = q.querySelector('.back'), list = q.querySelector('ul'), go = q.querySelector('.go'), stop = q.querySelector('.stop'), state = q.querySelector('.state');
  const kept = q.kept ??= { rev: null, tables: [], words: [], open: [], at: 0, mark: null, running: null };
  kept.tell = setTriggerValue; kept.base = data.base;
  const known = JSON.stringify(data.tables);
  if (kept.known !== known) { kept.known = known; kept.tables = data.tables; }
  kept.words = data.words;
  // Only a new revision changes what is being typed.
  const shelf = 'spire-sql ' + data.base;
  const keep = () => { try { sessionStorage.setItem(shelf, JSON.stringify({ rev: kept.rev, text: text.value })); } catch { /* A browser may forbid it; then nothing is kept. */ } };
  const typed = () => { try { return JSON.parse(sessionStorage.getItem(shelf)); } catch { return null; } };
  if (kept.rev !== data.rev) {
    // What was being typed in this tab comes back after a look elsewhere, or a refresh.
    const was = kept.rev === null ? typed() : null;
    kept.rev = data.rev; text.value = was && (was.rev === data.rev || data.rev === 'first') ? was.text : data.sql; keep(); done(); grow();
  }
  if (kept.answered !== data.answered) { kept.answered = data.answered; done(); mark(data.position); }
  if (kept.ready) return;
  kept.ready = true;
  q.querySelector('.keys').textContent = 'Ctrl-Enter runs';

  function done() { if (kept.running) { clearInterval(kept.running.clock); kept.running = null; } go.disabled = false; stop.hidden = true; state.textContent = ''; }
  function grow() { text.style.height = 'auto'; text.style.height = Math.min(420, Math.max(124, text.scrollHeight + 2)) + 'px'; }
  function mark(position) {
    back.replaceChildren(); kept.mark = position;
    if (!position) return;
    const lines = text.value.split('\\n'), start = lines.slice(0, position.line - 1).reduce((s, l) => s + l.length + 1, 0) + position.column - 1;
    const m = document.createElement('mark'); m.textContent = text.value.slice(start, start + position.length) || ' ';
    back.append(text.value.slice(0, start), m, text.value.slice(start + position.length)); slide();
    text.focus({ preventScroll: true }); text.setSelectionRange(start, start + position.length); text.setAttribute('aria-invalid', 'true');
  }
  function slide() { back.scrollTop = text.scrollTop; back.scrollLeft = text.scrollLeft; }
  function run() {
    if (kept.running || !text.value.trim()) return;
    close(); mark(null); text.removeAttribute('aria-invalid');
    const name = 'q' + Math.random().toString(36).slice(2, 14), begun = performance.now();
    kept.running = { name, clock: setInterval(() => { state.textContent = 'Running, ' + ((performance.now() - begun) / 1000).toFixed(1) + ' s'; }, 100) };
    state.textContent = 'Running'; go.disabled = true; stop.hidden = false;
    kept.tell('asked', { sql: text.value, name });
  }
  async function cancel() {
    const mine = kept.running;
    if (!mine || mine.stopping) return;
    mine.stopping = true; clearInterval(mine.clock); state.textContent = 'Cancelling';
    // What was asked a moment ago may not have begun there yet, so this is said until it is heard.
    while (kept.running === mine) {
      try { const answer = await fetch(kept.base + '/query/' + mine.name, { method: 'DELETE', credentials: 'same-origin' }); if (answer.ok && (await answer.json()).cancelled) return; }
      catch { state.textContent = 'The server does not answer.'; }
      await new Promise(done => setTimeout(done, 300));
    }
  }
  const close = () => { list.hidden = true; kept.open = []; text.setAttribute('aria-expanded', 'false'); text.removeAttribute('aria-activedescendant'); };
  const quoted = name => /^[a-z_][a-z0-9_]*$/.test(name) ? name : '"' + name + '"';
  function before() { const upto = text.value.slice(0, text.selectionStart), m = /(?:"?([A-Za-z_][\\w-]*)"?\\.)?("?[\\w-]*)$/.exec(upto); return { upto, word: m[2], of: m[1] ?? null, start: upto.length - m[2].length }; }
  function offers() {
    const { word, of, upto } = before(), typed = word.replace(/"/g, '').toLowerCase(), all = text.value.toLowerCase();
    if (!word && !of) return [];
    if (/'[^']*$/.test(upto.split('\\n').pop().replace(/'[^']*'/g, ''))) return [];
    const used = kept.tables.filter(t => all.includes(t.name.toLowerCase()));
    // What follows a dot is a column of that table, of what it is an alias for, or a table of that schema.
    if (of) {
      if (of === 'records' || of === 'versions') return pick(kept.tables.filter(t => t.rows !== null).map(t => [quoted(t.name), t.title, t.name]), typed);
      const named = kept.tables.find(t => t.name === of), alias = new RegExp('"?([\\\\w-]+)"?\\\\s+(?:as\\\\s+)?' + of.replace(/[^\\w]/g, '') + '\\\\b', 'i').exec(text.value);
      const table = named || kept.tables.find(t => alias && t.name === alias[1]);
      return table ? pick(table.columns.map(c => [quoted(c.name), c.type.toLowerCase(), c.name]), typed) : [];
    }
    const wants = /\\b(from|join)\\s+"?[\\w-]*$/i.test(upto), tables = kept.tables.map(t => [quoted(t.name), t.rows === null ? 'book' : t.rows.toLocaleString('en') + ' records', t.name]);
    if (wants) return pick(tables, typed);
    const seen = new Set(), columns = [];
    for (const t of used) for (const c of t.columns) if (!seen.has(c.name)) { seen.add(c.name); columns.push([quoted(c.name), c.type.toLowerCase(), c.name]); }
    return [...pick(columns, typed), ...pick(kept.words.map(w => [w, '', w]), typed), ...pick(tables, typed)].slice(0, 40);
  }
  function pick(all, typed) { const hit = all.filter(([, , name]) => name.toLowerCase().includes(typed) && name.toLowerCase() !== typed); return [...hit.filter(x => x[2].toLowerCase().startsWith(typed)), ...hit.filter(x => !x[2].toLowerCase().startsWith(typed))].slice(0, 40); }
  function show() {
    kept.open = offers(); kept.at = 0;
    if (!kept.open.length) return close();
    list.replaceChildren(...kept.open.map(([word, kind], i) => { const li = document.createElement('li'); li.id = 'o' + i; li.setAttribute('role', 'option'); li.setAttribute('aria-selected', i === 0); const w = document.createElement('div'), k = document.createElement('span'); w.textContent = word; k.textContent = kind; li.append(w, k); li.onmousedown = e => { e.preventDefault(); kept.at = i; take(); }; return li; }));
    const upto = text.value.slice(0, before().start).split('\\n'), wide = 7.83;
    list.hidden = false; list.style.left = Math.min(Math.max(8, 12 + upto[upto.length - 1].length * wide - text.scrollLeft), Math.max(8, text.clientWidth - 260)) + 'px'; list.style.top = 8 + upto.length * 20 - text.scrollTop + 2 + 'px';
    text.setAttribute('aria-expanded', 'true'); text.setAttribute('aria-activedescendant', 'o0');
  }
  function move(step) { kept.at = (kept.at + step + kept.open.length) % kept.open.length; [...list.children].forEach((li, i) => li.setAttribute('aria-selected', i === kept.at)); list.children[kept.at].scrollIntoView({ block: 'nearest' }); text.setAttribute('aria-activedescendant', 'o' + kept.at); }
  function take() {
    const [word] = kept.open[kept.at], { start } = before(), end = text.selectionStart;
    text.setRangeText(word + (/[(,'] ?$/.test(word) ? '' : ' '), start, end, 'end'); keep(); close(); grow(); text.focus();
  }
  text.addEventListener('input', () => { mark(null); text.removeAttribute('aria-invalid'); keep(); grow(); show(); });
  text.addEventListener('scroll', slide); text.addEventListener('blur', () => setTimeout(close, 120));
  text.addEventListener('keydown', e => {
    if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) { e.preventDefault(); e.stopPropagation(); run(); return; }
    if (e.key === ' ' && e.ctrlKey) { e.preventDefault(); show(); return; }
    if (list.hidden) return;
    if (e.key === 'ArrowDown' || e.key === 'ArrowUp') { e.preventDefault(); move(e.key === 'ArrowDown' ? 1 : -1); }
    else if ((e.key === 'Enter' || e.key === 'Tab') && !e.shiftKey) { e.preventDefault(); take(); }
    else if (e.key === 'Escape') { e.preventDefault(); e.stopPropagation(); close(); }
  });
  go.onclick = run; stop.onclick = cancel;
}
"""
_editor = st.components.v2.component("spire_query", html=HTML, css=CSS, js=JS)


@dataclass(frozen=True)
class Ask:
    """What was just asked, and by which name it can be stopped."""

    sql: str
    name: str


def editor(
    sql: str, tables: list[Any], *, revision: str, answered: int, position: Any = None, key: str
) -> Ask | None:
    """Draw the editor; gives what was just asked.

    `sql` is put in when `revision` changes and is the person's own from then on. `answered` grows with
    every answer; `position` marks an error of the last one.
    """
    data = {
        "sql": sql,
        "rev": revision,
        "answered": answered,
        "position": dict(position) if position else None,
        "base": f"/api/v1/tenants/{access.tenant()}",
        "words": list(WORDS),
        "tables": [
            {
                "name": t.name,
                "title": t.title,
                "rows": t.rows,
                "columns": [{"name": c.name, "type": c.type} for c in t.columns],
            }
            for t in tables
        ],
    }
    asked = _editor(key=key, data=data, on_asked_change=_nothing).asked
    return Ask(str(asked["sql"]), str(asked["name"])) if asked else None


FIRST = "first"


def fresh() -> str:
    """A revision that was not there before."""
    return secrets.token_hex(4)


def _nothing() -> None:
    """A trigger needs somebody who listens; the page reads it from the answer."""
