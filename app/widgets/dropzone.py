"""The drop zone: files go straight from the browser to the uploads API in parts; the page gets receipts only.

Nothing passes through Streamlit, so a large file costs neither memory nor a copy in the clear. A part
that fails is sent again from where the server says it stands.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

HTML = """
<label class="dz"><input type="file" multiple aria-describedby="dz-told">
<b>Drop files here, or <span class="go">choose files</span></b>
<span class="told" id="dz-told"></span>
<span class="row" hidden><progress max="1" value="0" aria-label="Upload progress"></progress><button type="button" class="stop">Stop</button></span>
<span class="state" role="status" aria-live="polite"></span></label>
"""
CSS = """
.dz { position: relative; display: grid; gap: 4px; align-content: center; justify-items: center; text-align: center; min-height: var(--dz-height, 148px); padding: 16px; border: 1px dashed var(--border-2); border-radius: 8px; font: 400 13px/20px var(--st-font); color: var(--text); cursor: pointer; box-sizing: border-box; }
.dz:hover, .dz.over { border-color: var(--accent-text); background: var(--bg-2); } .dz.over { border-style: solid; }
.dz:focus-within { outline: 2px solid var(--accent-text); outline-offset: 2px; }
b { font-weight: 600; font-size: 14px; } .go { color: var(--accent-text); } .told { color: var(--muted); font-size: 12px; max-width: 46ch; }
input { position: absolute; width: 1px; height: 1px; opacity: 0; } .row { display: flex; gap: 8px; align-items: center; width: 80%; } .row[hidden] { display: none; } progress { flex: 1; height: 8px; accent-color: var(--accent); }
.stop { font: 500 12px/22px var(--st-font); border: 1px solid var(--border); border-radius: 6px; background: var(--bg); color: var(--text); padding: 0 8px; cursor: pointer; }
.state { min-height: 20px; font-variant-numeric: tabular-nums; } .state.bad { color: var(--bad-text); } .dz.off { cursor: default; opacity: .7; }
"""
JS = """
export default function ({ data, parentElement: root, setTriggerValue }) {
  const zone = root.querySelector('.dz'), input = root.querySelector('input'), state = root.querySelector('.state');
  const bar = root.querySelector('progress'), row = root.querySelector('.row'), stop = root.querySelector('.stop');
  root.querySelector('.told').textContent = data.told;
  zone.classList.toggle('off', data.off); input.disabled = data.off;
  const PART = 8 << 20, wait = ms => new Promise(done => setTimeout(done, ms));
  const say = (text, bad) => { state.textContent = text; state.classList.toggle('bad', !!bad); };
  const mb = n => n >= 1e9 ? (n / 1e9).toFixed(2) + ' GB' : (n / 1e6).toFixed(1) + ' MB';
  async function ask(method, path, body) {
    const answer = await fetch(data.base + path, { method, credentials: 'same-origin', headers: body ? { 'content-type': 'application/json' } : {}, body: body && JSON.stringify(body) });
    const told = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
    if (!answer.ok) throw Object.assign(new Error([told.title || 'The upload was refused (' + answer.status + ').', told.action].filter(Boolean).join(' ')), { final: answer.status < 500 });
    return told;
  }
  const send = (id, blob, offset, told) => new Promise((done, fail) => {
    const x = new XMLHttpRequest(); x.open('PATCH', data.base + '/uploads/' + id); x.setRequestHeader('upload-offset', offset); x.responseType = 'json';
    zone.abort = () => x.abort();
    x.upload.onprogress = e => told(offset + e.loaded);
    x.onload = () => x.status < 300 ? done(x.response.offset) : fail(Object.assign(new Error([x.response?.title || 'The upload was refused (' + x.status + ').', x.response?.action].filter(Boolean).join(' ')), { final: x.status < 500 && x.status !== 409 }));
    x.onerror = () => fail(new Error('The connection was lost.')); x.onabort = () => fail(Object.assign(new Error('Stopped.'), { final: true })); x.send(blob);
  });
  async function one(file, nth, all) {
    const begun = performance.now(), { upload } = await ask('POST', '/uploads', { name: file.name, size: file.size, media_type: file.type || '' });
    const told = sent => { const share = file.size ? sent / file.size : 1, rate = sent / 1e3 / (performance.now() - begun), left = rate ? (file.size - sent) / 1e6 / rate : 0;
      bar.value = share; say((all > 1 ? nth + ' of ' + all + ': ' : '') + file.name + ', ' + mb(sent) + ' of ' + mb(file.size) + ' at ' + rate.toFixed(0) + ' MB/s' + (left > 2 ? ', ' + Math.round(left) + ' s left' : '')); };
    let offset = 0, tries = 0;
    while (offset < file.size) {
      try { offset = await send(upload, file.slice(offset, offset + PART), offset, told); tries = 0; }
      catch (error) {
        if (error.final || ++tries > 6) { if (error.message === 'Stopped.') ask('DELETE', '/uploads/' + upload).catch(() => 0); throw error; }
        say('The connection was lost; going on in a moment.'); await wait(400 * 2 ** tries);
        try { offset = (await ask('GET', '/uploads/' + upload)).offset; } catch (again) { if (again.final) throw again; }
      }
    }
    told(file.size);
    const payload = await ask('POST', '/uploads/' + upload + '/finish');
    return { payload: payload.payload, name: payload.name, size: payload.size };
  }
  async function take(files) {
    files = [...files]; if (!files.length || zone.busy || data.off) return;
    zone.busy = true; row.hidden = false; const got = [];
    try { for (const [i, file] of files.entries()) got.push(await one(file, i + 1, files.length)); say(files.length > 1 ? files.length + ' files received and sealed.' : files[0].name + ' received and sealed.'); }
    catch (error) { say(error.message, error.message !== 'Stopped.'); }
    finally { zone.busy = false; row.hidden = true; input.value = ''; }
    if (got.length) setTriggerValue('received', got);
  }
  stop.onclick = e => { e.preventDefault(); zone.abort?.(); };
  input.onchange = () => take(input.files);
  // Browsers differ in which key opens a file input; both do here.
  input.onkeydown = e => { if ((e.key === 'Enter' || e.key === ' ') && !e.repeat) { e.preventDefault(); input.click(); } };
  zone.ondragover = e => { e.preventDefault(); zone.classList.add('over'); };
  zone.ondragleave = () => zone.classList.remove('over');
  zone.ondrop = e => { e.preventDefault(); zone.classList.remove('over'); take(e.dataTransfer.files); };
}
"""
_zone = st.components.v2.component("spire_dropzone", html=HTML, css=CSS, js=JS)


def dropzone(tenant: str, *, key: str, told: str, off: bool = False) -> list[dict[str, Any]]:
    """Draw the zone; gives the receipts (payload, name, size) of files that have just been received."""
    data = {"base": f"/api/v1/tenants/{tenant}", "told": told, "off": off}
    received = _zone(key=key, data=data, on_received_change=_nothing).received
    return [dict(receipt) for receipt in received or []]


def _nothing() -> None:
    """A trigger needs somebody who listens; the page reads it from the answer."""
