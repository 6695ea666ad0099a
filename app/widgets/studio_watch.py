"""What an open studio listens for: its keys, and whether somebody else has changed the draft."""

from __future__ import annotations

import streamlit as st

from app.widgets import access
from app.widgets.drafts import Draft

HTML = '<span class="who" role="status"></span>'
CSS = """
.who { font: 400 12px/32px var(--st-font); color: var(--muted); white-space: nowrap; display: block; overflow: hidden; text-overflow: ellipsis; }
.who:empty { display: none; } .who::before { content: ""; display: inline-block; width: 8px; height: 8px; border-radius: 50%; background: var(--ok); margin-right: 6px; }
"""
JS = """
const EVERY = 5000, SETTLE = 1200;
export default function ({ data, parentElement: root, setTriggerValue }) {
  const who = root.querySelector('.who'), state = who.state ??= {};
  state.data = data; state.newer = n => setTriggerValue('newer', n); show(data.present);
  if (state.on) return; state.on = true;
  function show(names) { const text = names.length ? (names.length > 2 ? names.length + ' others are here' : names.join(' and ') + (names.length > 1 ? ' are here' : ' is here')) : ''; if (who.textContent !== text) { who.textContent = text; who.title = names.join(', '); } }
  const wait = ms => new Promise(done => setTimeout(done, ms));
  async function ask() {
    const answer = await fetch(state.data.at, { method: 'POST', credentials: 'same-origin' });
    return answer.ok ? answer.json() : null;
  }
  async function look() {
    // A page nobody looks at says nothing, so that a forgotten tab neither stands for a person nor keeps the worker up.
    if (state.busy || document.visibilityState !== 'visible' || !who.isConnected) return;
    state.busy = true;
    try {
      let there = await ask();
      if (there) show(there.present.map(p => p.who).filter(name => name !== state.data.me));
      if (there && there.revision !== state.data.revision) {
        // It may be this page's own edit, which is being drawn just now.
        await wait(SETTLE); there = await ask();
        if (there && there.revision !== state.data.revision && there.revision !== state.told) { state.told = there.revision; state.newer(there.revision); }
      }
    } catch { /* Not reachable just now: it is asked again. */ }
    state.busy = false;
  }
  const typing = e => { const at = e.composedPath()[0]; return at instanceof Element && (at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName)); };
  const press = key => { const button = document.querySelector('.st-key-' + key + ' button'); if (button && !button.disabled) { button.click(); return true; } return false; };
  const keys = e => {
    if (!who.isConnected) return;
    if ((e.ctrlKey || e.metaKey) && e.key === 'Enter') {
      // What is being typed counts first.
      const at = e.composedPath()[0]; if (typing(e)) at.blur();
      e.preventDefault(); setTimeout(() => press('preview-now'), 60); return;
    }
    if (e.ctrlKey || e.metaKey || e.altKey || typing(e) || document.querySelector('[role=dialog]')) return;
    const key = { s: 'draft-save', S: 'draft-save', z: 'draft-undo', Z: 'draft-redo', '?': 'keys-help' }[e.key];
    if (key && press(key)) e.preventDefault();
  };
  document.addEventListener('keydown', keys);
  const timer = setInterval(look, EVERY); look();
  document.addEventListener('visibilitychange', look);
  return () => { clearInterval(timer); document.removeEventListener('keydown', keys); document.removeEventListener('visibilitychange', look); state.on = false; };
}
"""
_watch = st.components.v2.component("spire_studio_watch", html=HTML, css=CSS, js=JS)


def watch(edited: Draft) -> None:
    """Say who else is here, and draw the page anew when the draft has moved on without it."""
    data = {
        "at": f"/api/v1/tenants/{access.tenant()}/drafts/{edited.subject}/here",
        "revision": edited.revision,
        "me": access.principal().user,
        "present": edited.present,
    }
    _watch(key=f"watch-{edited.subject}", data=data, on_newer_change=_nothing)


def _nothing() -> None:
    """The page draws itself anew, and takes up the newer state in doing so."""
