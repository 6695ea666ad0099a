"""The drop zone: files go straight from the browser to the uploads API in parts; the page gets receipts only.

Nothing passes through Streamlit, so a large file costs neither memory nor a copy in the clear. Uploads
belong to the window, not to the page in it: they go on while another page is open, and what a reload or
a lost connection cut off is known to the server and goes on from there once the file is chosen again.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

HTML = """
<div class="all"><label class="dz"><input type="file" multiple aria-describedby="dz-told">
<svg class="ic" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="M14 3H7a1 1 0 0 0-1 1v16a1 1 0 0 0 1 1h10a1 1 0 0 0 1-1V7z"/><path d="M14 3v4h4"/></svg>
<b>Drop files here<span class="or">, or <span class="go">choose files</span></span></b>
<span class="told" id="dz-told"></span><span class="btn" aria-hidden="true">Choose files</span></label>
<ul class="list" aria-label="Uploads" hidden></ul>
<span class="state" role="status" aria-live="polite"></span></div>
"""
CSS = """
.all { font: 400 13px/20px var(--st-font); color: var(--text); font-feature-settings: "tnum", "cv05"; }
.dz { position: relative; display: grid; gap: 4px; grid-template-rows: auto auto 1fr; justify-items: start; min-height: 184px; padding: 12px; border: 1px dashed var(--border-2); border-radius: 8px; cursor: pointer; box-sizing: border-box; }
.ic { display: none; color: var(--muted); }
.compact .dz { min-height: 0; display: flex; align-items: center; gap: 10px; padding: 6px 12px; } .compact .ic { display: block; width: 18px; height: 18px; flex: none; } .compact .told { flex: 1; } .compact b { white-space: nowrap; font-size: 13px; }
.btn { align-self: end; height: 32px; line-height: 32px; padding: 0 12px; border-radius: 6px; background: var(--accent); color: #fff; font-weight: 500; } .compact .btn, .off .btn { display: none; } .all:not(.compact) .or { display: none; }
.dz:hover, .dz.over { border-color: var(--accent-text); background: var(--bg-2); } .dz.over { border-style: solid; }
.dz:focus-within { outline: 2px solid var(--accent-text); outline-offset: 2px; }
b { font-weight: 600; font-size: 14px; } .go { color: var(--accent-text); } .told { color: var(--muted); font-size: 12px; line-height: 18px; }
input { position: absolute; width: 1px; height: 1px; opacity: 0; } .off .dz { cursor: default; background: var(--bg-2); } .off .go { color: inherit; }
.list { list-style: none; margin: 8px 0 0; padding: 0; border: 1px solid var(--border); border-radius: 8px; } .list[hidden] { display: none; }
.list li { display: grid; grid-template-columns: minmax(0, 1fr) auto auto; gap: 0 8px; align-items: center; padding: 8px 12px; border-top: 1px solid var(--border); } .list li:first-child { border-top: 0; }
.name { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .how { grid-column: 1 / -1; font-size: 12px; color: var(--muted); } .how.bad { color: var(--bad-text); } .how.wait { color: var(--wait-text); }
progress { grid-column: 1 / -1; appearance: none; width: 100%; height: 4px; margin: 4px 0; border: 0; border-radius: 2px; background: var(--bg-3); overflow: hidden; }
progress::-webkit-progress-bar { background: var(--bg-3); } progress::-webkit-progress-value { background: var(--text); } progress::-moz-progress-bar { background: var(--text); }
li button { font: 500 12px/22px var(--st-font); border: 1px solid var(--border); border-radius: 6px; background: var(--bg); color: var(--text); padding: 0 8px; cursor: pointer; } li button:hover { background: var(--bg-2); } li button:focus-visible { outline: 2px solid var(--accent-text); outline-offset: 2px; } li button[hidden] { display: none; }
.state { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
"""
JS = """
const PART = 8 << 20, PROOF = 64 << 10, wait = ms => new Promise(done => setTimeout(done, ms));
const size = n => n >= 1e9 ? (n / 1e9).toFixed(2) + ' GB' : n >= 1e6 ? (n / 1e6).toFixed(1) + ' MB' : n >= 1e3 ? (n / 1e3).toFixed(1) + ' kB' : n + ' bytes';
const refusal = (status, told) => Object.assign(
  new Error(status === 401 ? 'You are signed out. Sign in again, then resume.' : [told?.title || 'The server refused it (' + status + ').', told?.action].filter(Boolean).join(' ')),
  { status, again: status >= 500, paused: status === 401 });

/* All uploads of this window to one place: begun, sent in turn, kept in mind over a reload. */
function uploads(base, purpose) {
  const all = window.spireUploads ||= {}, key = base + '#' + purpose;
  if (all[key]) return all[key];
  const place = 'spire-uploads ' + key, it = all[key] = { files: [], views: new Set(), said: '' };
  let busy = false, next = 1;
  it.show = () => it.views.forEach(view => view.show());
  const say = text => { it.said = text; it.show(); };
  const keep = () => { try { localStorage.setItem(place, JSON.stringify(it.files.filter(f => f.upload && f.state !== 'done').map(({ name, size, modified, upload }) => ({ name, size, modified, upload })))); } catch { /* Then only this page knows. */ } };
  async function ask(method, path, body) {
    let answer;
    try { answer = await fetch(base + path, { method, credentials: 'same-origin', headers: body ? { 'content-type': 'application/json' } : {}, body: body && JSON.stringify(body) }); }
    catch { throw Object.assign(new Error('The connection was lost.'), { again: true }); }
    const told = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
    if (!answer.ok) throw refusal(answer.status, told);
    return told;
  }
  const send = (f, from) => new Promise((done, fail) => {
    const x = new XMLHttpRequest(); f.request = x;
    x.open('PATCH', base + '/uploads/' + f.upload); x.setRequestHeader('upload-offset', from); x.responseType = 'json';
    x.upload.onprogress = e => { f.sent = from + e.loaded; const now = performance.now(); f.marks.push([now, f.sent]); while (f.marks.length > 2 && now - f.marks[0][0] > 4000) f.marks.shift(); it.show(); };
    x.onload = () => x.status < 300 ? done(x.response.offset) : fail(refusal(x.status, x.response));
    x.onerror = () => fail(Object.assign(new Error('The connection was lost.'), { again: true }));
    x.onabort = () => fail(Object.assign(new Error('Paused.'), { aborted: true }));
    x.send(f.file.slice(from, from + PART));
  });
  async function readable(f) {
    try { await f.file.slice(f.sent, f.sent + 1).arrayBuffer(); return true; } catch { return false; }
  }
  async function one(f) {
    f.state = 'sending'; f.error = ''; f.marks = [];
    let tries = 0;
    if (!await readable(f)) { f.state = 'failed'; f.error = 'It can\\'t be read. If it is a folder, choose the files in it; if it was changed, choose it again.'; return; }
    for (;;) {
      try {
        if (!f.upload) { f.upload = (await ask('POST', '/uploads', { name: f.name, size: f.size, media_type: f.file.type || '' })).upload; keep(); }
        else if (f.check || tries) {
          const there = await ask('GET', '/uploads/' + f.upload);
          /* The end of what is there goes once more: the server compares, so another file of the same name is found out. */
          f.sent = there.finished ? f.size : f.check ? Math.max(0, there.offset - PROOF) : there.offset;
        }
        while (f.sent < f.size) { f.sent = await send(f, f.sent); f.check = false; tries = 0; it.show(); if (f.state !== 'sending') return; }
        const got = await ask('POST', '/uploads/' + f.upload + '/finish');
        f.receipt = { payload: got.payload, name: got.name, size: got.size }; f.state = 'done'; keep(); return;
      } catch (error) {
        if (f.state !== 'sending') return;
        if (error.again && !await readable(f)) { f.state = 'failed'; f.error = 'The file was changed or went away while it was sent. Choose it again.'; keep(); return; }
        if (error.again && ++tries <= 8) { f.error = error.message + ' Trying again.'; it.show(); await wait(Math.min(400 * 2 ** tries, 8000)); if (f.state !== 'sending') return; f.error = ''; continue; }
        if (f.check && error.status === 409) { f.state = 'failed'; f.error = 'This is another file than the one that was begun. Discard it and drop this one again.'; return; }
        if (error.status === 404) { f.upload = ''; f.sent = 0; f.check = false; if (++tries <= 2) continue; }
        f.state = error.again || error.paused ? 'paused' : 'failed'; f.error = error.message + (error.again ? ' Resume when it is back.' : ''); return;
      }
    }
  }
  async function go() {
    if (busy) return;
    busy = true;
    for (let f; (f = it.files.find(f => f.state === 'waiting'));) { await one(f); it.show(); if (f.state === 'failed') say(f.name + ': ' + f.error); }
    busy = false; hand();
  }
  function hand() {
    const done = it.files.filter(f => f.state === 'done'), view = [...it.views].at(-1);
    if (!done.length || !view) return;
    it.files = it.files.filter(f => f.state !== 'done');
    say(done.length > 1 ? done.length + ' files received and sealed.' : done[0].name + ' received and sealed.');
    view.received(done.map(f => f.receipt));
  }
  it.hand = () => { if (!busy) hand(); };
  it.take = files => {
    for (const file of files) {
      const same = it.files.find(f => !f.file && f.name === file.name && f.size === file.size && f.modified === file.lastModified);
      if (same) Object.assign(same, { file, state: 'waiting', check: true, error: '' });
      else it.files.push({ id: next++, file, name: file.name, size: file.size, modified: file.lastModified, sent: 0, state: 'waiting', marks: [], error: '' });
    }
    it.show(); go();
  };
  it.pause = f => { f.state = 'paused'; f.error = ''; f.request?.abort(); it.show(); };
  it.resume = f => { f.state = 'waiting'; f.error = ''; f.check = !!f.upload; it.show(); go(); };
  it.drop = f => { f.state = 'dropped'; f.request?.abort(); if (f.upload) ask('DELETE', '/uploads/' + f.upload).catch(() => 0); it.files = it.files.filter(g => g !== f); keep(); it.show(); hand(); };
  addEventListener('beforeunload', e => { if (it.files.some(f => f.state === 'sending' || f.state === 'waiting')) e.preventDefault(); });
  (async () => {
    let left = [];
    try { left = JSON.parse(localStorage.getItem(place) || '[]'); } catch { /* Nothing was kept. */ }
    for (const old of left) {
      try {
        const there = await ask('GET', '/uploads/' + old.upload);
        if (!there.finished) it.files.push({ id: next++, ...old, file: null, sent: there.offset, state: 'cut', marks: [], error: '' });
      } catch { /* Given up meanwhile. */ }
    }
    keep(); it.show();
  })();
  return it;
}

export default function ({ data, parentElement: root, setTriggerValue }) {
  const all = root.querySelector('.all'), zone = root.querySelector('.dz'), input = root.querySelector('input'), list = root.querySelector('.list'), state = root.querySelector('.state');
  root.querySelector('.told').textContent = data.told;
  all.classList.toggle('off', data.off); all.classList.toggle('compact', data.compact); input.disabled = data.off; input.multiple = data.many;
  const it = uploads(data.base, data.purpose);
  const el = (tag, cls) => Object.assign(document.createElement(tag), { className: cls });
  function how(f) {
    const of = size(f.sent) + ' of ' + size(f.size);
    if (f.state === 'failed') return [f.error, 'bad'];
    if (f.state === 'cut') return [of + ' are there. Choose the same file again to go on.', 'wait'];
    if (f.state === 'paused') return [(f.error || 'Paused.') + ' ' + of + ' are there.', f.error ? 'wait' : ''];
    if (f.state === 'waiting') return ['Waiting, ' + size(f.size), ''];
    if (f.state === 'done') return ['Received and sealed, ' + size(f.size), ''];
    if (f.error) return [f.error, 'wait'];
    const [a, b] = [f.marks[0], f.marks.at(-1)], rate = a && b && b[0] > a[0] ? (b[1] - a[1]) / (b[0] - a[0]) * 1000 : 0, left = rate ? (f.size - f.sent) / rate : 0;
    return [of + (rate ? ', ' + size(Math.round(rate)) + '/s' : '') + (left > 2 ? ', ' + (left > 90 ? Math.round(left / 60) + ' min' : Math.round(left) + ' s') + ' left' : ''), ''];
  }
  const rows = list.rows ||= new Map();
  const view = {
    received: files => setTriggerValue('received', files),
    show() {
      list.hidden = !it.files.length;
      for (const [id, li] of rows) if (!it.files.some(f => f.id === id)) { li.remove(); rows.delete(id); }
      for (const f of it.files) {
        let li = rows.get(f.id);
        if (!li) {
          li = el('li', ''); li.append(el('span', 'name'), el('button', 'hold'), el('button', 'no'), el('progress', ''), el('span', 'how'));
          const [name, hold, no, bar] = li.children; name.textContent = name.title = f.name; hold.type = no.type = 'button'; bar.max = 1; bar.setAttribute('aria-label', 'Progress of ' + f.name);
          rows.set(f.id, li); list.append(li);
        }
        const [, hold, no, bar, told] = li.children, going = f.state === 'sending' || f.state === 'waiting';
        const label = (b, text) => { if (b.textContent !== text) { b.textContent = text; b.setAttribute('aria-label', text + ' ' + f.name); } };
        label(hold, f.state === 'cut' ? 'Choose it' : going ? 'Pause' : f.state === 'failed' ? 'Try again' : 'Resume'); label(no, f.state === 'failed' || f.state === 'cut' ? 'Discard' : 'Cancel');
        hold.hidden = no.hidden = f.state === 'done';
        hold.onclick = () => f.state === 'cut' ? input.click() : going ? it.pause(f) : it.resume(f); no.onclick = () => it.drop(f);
        bar.value = f.size ? f.sent / f.size : 1;
        const [text, tone] = how(f); told.textContent = text; told.className = 'how ' + tone;
      }
      if (state.textContent !== it.said) state.textContent = it.said;
    },
  };
  if (list.view) it.views.delete(list.view);
  list.view = view; it.views.add(view); view.show(); it.hand();
  const take = files => { if (files.length && !data.off) it.take(data.many ? [...files] : [...files].slice(0, 1)); };
  input.onchange = () => { take(input.files); input.value = ''; };
  // Browsers differ in which key opens a file input; both do here.
  input.onkeydown = e => { if ((e.key === 'Enter' || e.key === ' ') && !e.repeat) { e.preventDefault(); input.click(); } };
  zone.ondragover = e => { e.preventDefault(); zone.classList.add('over'); };
  zone.ondragleave = () => zone.classList.remove('over');
  zone.ondrop = e => { e.preventDefault(); zone.classList.remove('over'); take(e.dataTransfer.files); };
  return () => it.views.delete(view);
}
"""
_zone = st.components.v2.component("spire_dropzone", html=HTML, css=CSS, js=JS)


def dropzone(
    tenant: str,
    *,
    key: str,
    told: str,
    off: bool = False,
    purpose: str = "new",
    compact: bool = False,
    many: bool = True,
) -> list[dict[str, Any]]:
    """Draw the zone; gives the receipts (payload, name, size) of files that have just been received.

    Zones of one `purpose` show the same uploads, wherever they stand.
    """
    data = {
        "base": f"/api/v1/tenants/{tenant}", "told": told, "off": off, "purpose": purpose, "compact": compact,
        "many": many,
    }  # fmt: skip
    received = _zone(key=key, data=data, on_received_change=_nothing).received
    return [dict(receipt) for receipt in received or []]


def _nothing() -> None:
    """A trigger needs somebody who listens; the page reads it from the answer."""
