"""An interface's answer as a tree: a click on a list says that the records stand there."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.client import Client
from app.tenant.schemas.feeds import AnswerView
from app.widgets import access, frame

HTML = """<div class="tree" role="tree" aria-label="The answer"></div><p class="said" role="status"></p>"""
CSS = """
.tree { font: 400 13px/24px var(--st-font); color: var(--text); max-height: 420px; overflow: auto; font-feature-settings: "tnum", "cv05", "calt" 0; }
.row { display: flex; gap: 8px; align-items: center; min-height: 26px; padding: 0 8px; border-radius: 4px; cursor: default; white-space: nowrap; box-sizing: border-box; }
.row:hover { background: var(--bg-2); } .row:focus-visible { outline: 2px solid var(--accent-text); outline-offset: -2px; }
.fold { width: 14px; flex: none; color: var(--muted); text-align: center; cursor: pointer; } .name { font-weight: 500; } .name.at { color: var(--muted); font-weight: 400; }
.what { color: var(--muted); font-size: 12px; } .value { font: 400 12px/20px var(--mono); overflow: hidden; text-overflow: ellipsis; }
.row.list { cursor: pointer; } .row .pick { margin-left: auto; color: var(--accent-text); font: 500 12px/20px var(--st-font); opacity: 0; } .row.list:hover .pick, .row.list:focus-visible .pick, .row[aria-selected="true"] .pick { opacity: 1; }
.row[aria-selected="true"] { background: var(--bg-2); box-shadow: inset 3px 0 0 var(--text); } .row[aria-selected="true"] .pick { color: var(--text); }
.said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); margin: 0; }
"""
JS = """
export default function ({ data, parentElement: root, setTriggerValue }) {
  const tree = root.querySelector('.tree'), said = root.querySelector('.said');
  const el = (tag, cls, text) => { const e = document.createElement(tag); e.className = cls; if (text !== undefined) e.textContent = text; return e; };
  const whole = JSON.stringify(data.tree);
  if (tree.of !== whole) { tree.of = whole; tree.shut = new Set(); tree.at = ''; deep(data.tree, '', 0); }
  // What lies deep begins folded: an answer is read from the top.
  function deep(node, id, level) { if (level > 3 && node.inside.length) tree.shut.add(id); node.inside.forEach((n, i) => deep(n, id + '/' + i, level + 1)); }
  const rows = [];
  function draw() {
    const held = tree.contains(tree.getRootNode().activeElement);
    tree.replaceChildren(); rows.length = 0; add(data.tree, '', 1, null);
    const at = rows.find(r => r.id === tree.at) || rows[0];
    rows.forEach(r => { r.row.tabIndex = r === at ? 0 : -1; });
    if (held) at.row.focus();
  }
  function add(node, id, level, parent) {
    const list = node.kind === 'list' && node.path !== null, open = !tree.shut.has(id), row = el('div', 'row' + (list ? ' list' : ''));
    row.setAttribute('role', 'treeitem'); row.setAttribute('aria-level', level); row.style.paddingLeft = 8 + 18 * (level - 1) + 'px';
    if (node.inside.length) row.setAttribute('aria-expanded', open ? 'true' : 'false');
    if (list) row.setAttribute('aria-selected', node.path === data.chosen ? 'true' : 'false');
    const fold = el('span', 'fold', node.inside.length ? (open ? '\\u25be' : '\\u25b8') : ''); fold.setAttribute('aria-hidden', 'true');
    const inList = parent && parent.node.kind === 'list';
    row.append(fold, el('span', 'name' + (inList ? ' at' : ''), node.name === '' ? 'the answer' : inList ? 'item ' + (Number(node.name) + 1) : node.name));
    if (node.kind === 'list') row.append(el('span', 'what', node.count.toLocaleString('en') + (node.count === 1 ? ' item' : ' items')));
    else if (node.kind === 'object') row.append(el('span', 'what', node.count + (node.count === 1 ? ' field' : ' fields')));
    else row.append(el('span', 'value ' + node.kind, node.text));
    if (list) row.append(el('span', 'pick', node.path === data.chosen ? 'the records stand here' : 'take this list'));
    const it = { id, node, row, parent, list }; rows.push(it);
    fold.onclick = event => { event.stopPropagation(); toggle(it); };
    row.onclick = () => { tree.at = id; if (list) pick(it); else if (node.inside.length) toggle(it); };
    row.onkeydown = event => key(event, it);
    tree.append(row);
    if (open) {
      node.inside.forEach((n, i) => add(n, id + '/' + i, level + 1, it));
      if (node.inside.length < node.count && node.inside.length) { const more = el('div', 'row', ''); more.style.paddingLeft = 8 + 18 * level + 'px'; more.setAttribute('role', 'presentation'); more.append(el('span', 'fold', ''), el('span', 'what', 'and ' + (node.count - node.inside.length).toLocaleString('en') + ' more')); tree.append(more); }
    }
  }
  function toggle(it, open) {
    if (!it.node.inside.length) return;
    const shut = tree.shut.has(it.id); if (open === !shut) return;
    shut ? tree.shut.delete(it.id) : tree.shut.add(it.id); tree.at = it.id; draw();
  }
  function pick(it) { data.chosen = it.node.path; tree.at = it.id; said.textContent = 'The records stand at ' + (it.node.path || 'the top'); draw(); setTriggerValue('picked', { path: it.node.path }); }
  function go(it) { if (!it) return; tree.at = it.id; rows.forEach(r => { r.row.tabIndex = r === it ? 0 : -1; }); it.row.focus(); }
  function key(event, it) {
    const n = rows.indexOf(it), acts = {
      ArrowDown: () => go(rows[n + 1]), ArrowUp: () => go(rows[n - 1]), Home: () => go(rows[0]), End: () => go(rows.at(-1)),
      ArrowRight: () => tree.shut.has(it.id) ? toggle(it, true) : it.node.inside.length && go(rows[n + 1]),
      ArrowLeft: () => it.node.inside.length && !tree.shut.has(it.id) ? toggle(it, false) : go(it.parent),
      Enter: () => it.list ? pick(it) : toggle(it), ' ': () => it.list ? pick(it) : toggle(it),
    };
    if (acts[event.key]) { event.preventDefault(); acts[event.key](); }
  }
  draw();
}
"""
_tree = st.components.v2.component("spire_answer_tree", html=HTML, css=CSS, js=JS)


def look(client: Client, connector: str, config: dict[str, Any], key: str) -> None:
    """Ask the interface, and remember its answer for `offer`."""
    with st.spinner("Asking the interface"):
        st.session_state[f"answer-{key}"] = access.attempt(client.connection_answer, connector, config)


def offer(key: str) -> None:
    """The answer, if one was asked for; the list that is chosen stands in the form above."""
    found: AnswerView | None = st.session_state.get(f"answer-{key}")
    if found is None:
        return
    note = "click the list that holds the records" if _some(found.tree) else "there is no list in it"
    with frame.panel("What it answers", note, key="answer"):
        data = {
            "tree": found.tree.model_dump(),
            "chosen": st.session_state.get(f"{key}-records", ""),
        }
        _tree(key=f"tree-{key}", data=data, on_picked_change=lambda: _take(key))


def _some(branch: Any) -> bool:
    return branch.path is not None or any(map(_some, branch.inside))


def _take(key: str) -> None:
    # Before the form is drawn again, so that it shows what was chosen.
    picked = st.session_state[f"tree-{key}"].picked
    if picked:
        st.session_state[f"{key}-records"] = picked["path"]
