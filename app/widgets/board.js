const SOURCE = 42, TARGET = 34, GROUP = 26, FIND = 33, SURE = 90;
const NONE = '\u0000none', CONSTANT = '\u0000constant', SQL = '\u0000sql';
const el = (tag, cls, text) => { const e = document.createElement(tag); if (cls) e.className = cls; if (text !== undefined) e.textContent = text; return e; };
const list = names => names.length < 3 ? names.join(' and ') : names.slice(0, -1).join(', ') + ' and ' + names.at(-1);

export default function ({ data, parentElement: root, setTriggerValue }) {
  const wrap = root.querySelector('.board');
  const board = wrap.board ??= new Board(wrap);
  const acts = queue(wrap, data.heard, setTriggerValue), all = JSON.stringify(data);
  board.tell = acts.send;
  if (acts.acts.length || board.all === all) return;
  board.all = all; board.take(JSON.parse(all));
}

class Board {
  constructor(wrap) {
    const q = sel => wrap.querySelector(sel);
    Object.assign(this, { wrap, picked: '', drag: null, order: [], orderOf: '', view: '', rows: { s: new Map(), t: new Map(), x: new Map() }, tops: { s: new Map(), t: new Map() }, labels: new Map() });
    this.cols = { s: q('.src'), t: q('.tgt') }; this.lists = { s: q('.src ul'), t: q('.tgt ul') }; this.finds = { s: q('.src input'), t: q('.tgt input') };
    this.gut = q('.gut'); this.svg = q('svg'); this.scores = q('.scores'); this.why = q('.why'); this.live = q('.live'); this.body = q('.body'); this.table = q('.table'); this.which = q('.which'); this.allSure = q('.all');
    for (const side of ['s', 't']) {
      this.lists[side].addEventListener('scroll', () => this.soon(), { passive: true });
      this.finds[side].addEventListener('input', () => this.sift());
      this.finds[side].addEventListener('keydown', e => {
        if (e.key === 'Escape' && this.finds[side].value) { this.finds[side].value = ''; this.sift(); e.preventDefault(); e.stopPropagation(); }
        if (e.key === 'ArrowDown' || e.key === 'Enter') { this.seen(side)[0]?.querySelector('.f').focus(); e.preventDefault(); }
      });
      this.lists[side].addEventListener('keydown', e => this.key(e, side));
      this.lists[side].addEventListener('click', e => this.click(e, side));
      this.lists[side].addEventListener('pointerdown', e => this.down(e, side));
      this.lists[side].addEventListener('focusin', e => this.rove(e.target.closest('li.r')));
      this.lists[side].addEventListener('focusout', () => this.soon());
      this.lists[side].addEventListener('pointerover', e => { this.hot = e.target.closest('li.r'); this.soon(); });
      this.lists[side].addEventListener('pointerleave', () => { this.hot = null; this.soon(); });
    }
    this.gut.addEventListener('pointerdown', e => this.grab(e));
    this.gut.addEventListener('pointermove', e => { this.gut.style.cursor = !this.data.readonly && this.at(e) ? 'grab' : ''; });
    wrap.querySelectorAll('.seg button').forEach(b => b.onclick = () => { this.show(b.dataset.view); this.tell('view', { view: b.dataset.view }); });
    this.allSure.onclick = () => { const names = this.sure(); this.settle(names.map(n => [n, this.target(n).from])); this.say(`${names.length} suggestions accepted.`); this.tell('accept', { targets: names }); };
    this.which.onchange = () => this.tell('which', { value: this.which.value });
    new ResizeObserver(() => this.soon()).observe(this.body);
    document.addEventListener('keydown', this.slash = e => { if (e.key === '/' && !e.ctrlKey && !e.metaKey && !e.altKey && wrap.isConnected && !typing(e)) { e.preventDefault(); this.show('board'); this.finds.s.focus(); } });
  }

  take(data) {
    this.data = data; this.wrap.classList.toggle('ro', !!data.readonly);
    this.byName = new Map(data.targets.map(t => [t.name, t]));
    const told = this.wrap.querySelector('.told'); told.textContent = data.told; told.title = data.told;
    const of = data.subject + ' ' + data.model;
    // Fields keep their places while one works: what is mapped now must not jump away under the pointer.
    if (this.orderOf !== of || this.order.length !== data.targets.length) {
      const rank = t => t.required ? 0 : t.state !== 'open' ? 1 : 2;
      this.order = data.targets.map((t, i) => [rank(t), i, t.name]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(x => x[2]); this.orderOf = of;
    }
    const turned = this.shown !== of || this.revealed !== data.selected; this.shown = of; this.revealed = data.selected;
    this.options(); this.sift(); if (turned) requestAnimationFrame(() => this.reveal(data.selected)); this.show(data.view || 'board', true);
    const lack = this.wrap.querySelector('.lack'), n = data.targets.filter(t => t.required && !done(t)).length;
    lack.textContent = n ? `${n} required unmapped` : 'All required mapped'; lack.classList.toggle('done', !n); lack.hidden = !data.targets.some(t => t.required);
    this.head();
  }

  head() {
    const n = this.sure().length;
    this.allSure.hidden = !n || !!this.data.readonly; this.allSure.textContent = `Accept ${n} at ${SURE} % or more`;
  }

  options() {
    const sign = JSON.stringify(this.data.which); if (sign === this.whichSign) { this.which.value = this.data.at; return; }
    this.whichSign = sign; this.which.replaceChildren(...this.data.which.map(o => { const e = el('option', '', o.label); e.value = o.value; return e; }));
    this.which.value = this.data.at; this.which.setAttribute('aria-label', this.data.whichLabel); this.which.disabled = !!this.data.readonly && !this.data.many;
  }

  show(view, quiet) {
    if (this.view === view) { if (view === 'table') this.grid(); return; }
    this.view = view; this.body.hidden = view === 'table'; this.table.hidden = view !== 'table';
    this.wrap.querySelectorAll('.seg button').forEach(b => b.setAttribute('aria-pressed', String(b.dataset.view === view)));
    if (view === 'table') this.grid(); else this.soon();
  }

  target(name) { return this.byName.get(name); }
  sure() { return this.data.targets.filter(t => t.state === 'suggested' && !t.choices && t.score >= SURE).map(t => t.name); }
  feeds(source) { return this.data.targets.filter(t => t.from.includes(source)); }
  seen(side) { return [...this.lists[side].querySelectorAll('li.r')]; }
  say(text) { this.live.textContent = ''; requestAnimationFrame(() => { this.live.textContent = text; }); }

  sift() {
    const find = side => this.finds[side].value.trim().toLowerCase(), s = find('s'), t = find('t');
    const shown = this.data.sources.filter(f => !s || f.name.toLowerCase().includes(s));
    const wanted = this.order.map(n => this.target(n)).filter(f => f && (!t || f.name.toLowerCase().includes(t) || f.title.toLowerCase().includes(t)));
    const required = wanted.filter(f => f.required), other = wanted.filter(f => !f.required);
    const items = [];
    if (required.length) items.push(['g', `Required, ${required.length}`], ...required.map(f => ['t', f]));
    if (other.length) items.push(['g', `Optional, ${other.length}`], ...other.map(f => ['t', f]));
    this.wrap.querySelector('.src .n').textContent = s ? `${shown.length} of ${this.data.sources.length}` : '';
    this.fill('s', shown.map(f => ['s', f]), this.data.sources.length ? 'No field matches.' : 'This source has no fields yet.');
    this.fill('t', items, 'No field matches.');
    this.soon();
  }

  fill(side, items, none) {
    const ul = this.lists[side], kept = this.rows[side], tops = this.tops[side]; tops.clear();
    let y = 0; const want = [];
    for (const [kind, f] of items) {
      if (kind === 'g') { const g = kept.get('\u0000' + f.split(',')[0]) ?? el('li', 'gh'); kept.set('\u0000' + f.split(',')[0], g); if (g.textContent !== f) g.textContent = f; want.push(g); y += GROUP; continue; }
      let li = kept.get(f.name); if (!li) { li = el('li', 'r'); li.dataset.n = f.name; kept.set(f.name, li); }
      (kind === 's' ? this.source : this.goal).call(this, li, f); want.push(li);
      tops.set(f.name, y + (kind === 's' ? SOURCE : TARGET) / 2); y += kind === 's' ? SOURCE : TARGET;
    }
    if (!want.length) { const p = kept.get('\u0000none') ?? el('li', 'nothing'); kept.set('\u0000none', p); p.textContent = none; want.push(p); }
    if (want.length !== ul.children.length || want.some((li, i) => ul.children[i] !== li)) {
      const focused = ul.getRootNode().activeElement; ul.replaceChildren(...want);
      if (focused && focused !== ul.getRootNode().activeElement && ul.contains(focused)) focused.focus();
    }
    const rows = this.seen(side); if (rows.length && !rows.some(li => li.firstChild?.tabIndex === 0)) this.rove(rows[0]);
  }

  source(li, f) {
    const fed = this.feeds(f.name).filter(done).map(t => t.name), sel = this.target(this.data.selected)?.from.includes(f.name) ?? false;
    li.classList.toggle('sel', sel); li.classList.toggle('picked', this.picked === f.name);
    const sign = JSON.stringify([f, fed]); if (li.sign === sign) return; li.sign = sign;
    const tab = li.firstChild?.tabIndex ?? -1, b = li.firstChild ?? el('button', 'f'); b.type = 'button'; b.tabIndex = tab;
    const one = el('span', 'l'), two = el('span', 'l l2'), name = el('b', '', f.name), chip = el('span', 'chip' + (f.tone ? ' ' + f.tone : '')); name.dir = 'auto'; name.title = f.name; chip.append(el('span', '', f.chip)); chip.title = f.chip;
    one.append(name); if (f.chip) one.append(chip);
    const mask = el('span', 'mask', f.mask); mask.title = f.mask; two.append(mask);
    if (f.spark.length > 1) two.append(spark(f.spark));
    two.append(el('span', 'sp')); if (!f.outliers) two.append(el('span', 'e', f.empty)); else { const gap = el('span', 'e', f.outliers); gap.style.visibility = 'hidden'; two.append(gap); }
    b.replaceChildren(one, two);
    b.setAttribute('aria-label', [f.name, f.chip, f.outliers || f.empty, fed.length ? 'feeds ' + list(fed) : 'feeds nothing'].filter(Boolean).join(', '));
    if (!li.firstChild) li.append(b);
    li.querySelector('.out')?.remove();
    if (f.outliers) { const a = el('a', 'out', f.outliers); a.href = f.href; a.title = `${f.outliers}; ${f.empty}`; a.tabIndex = tab; a.draggable = false; li.append(a); }
  }

  goal(li, t) {
    li.classList.toggle('sel', t.name === this.data.selected);
    const sign = JSON.stringify([t, this.data.readonly, t.name === this.data.selected]); if (li.sign === sign) return; li.sign = sign;
    const tab = li.firstChild?.tabIndex ?? -1, b = li.firstChild ?? el('button', 'f'); b.type = 'button'; b.tabIndex = tab;
    const name = el('b', '', t.name); name.dir = 'auto'; name.title = t.hint || t.name;
    const text = el('span', 't' + (t.state === 'open' ? ' none' : ''), t.state === 'suggested' && !this.data.readonly ? '' : t.text || (t.state === 'open' ? 'Not mapped' : '')); text.title = t.more || '';
    b.replaceChildren(name, text); b.setAttribute('aria-label', [t.name, t.required ? 'required' : '', t.state === 'suggested' ? `suggested from ${t.from[0]}, ${t.score} %` : t.from.length ? 'from ' + list(t.from) : t.text || 'not mapped', t.from.length && t.state === 'mapped' ? t.text : ''].filter(Boolean).join(', '));
    if (t.name === this.data.selected) b.setAttribute('aria-current', 'true'); else b.removeAttribute('aria-current');
    if (!li.firstChild) li.append(b, el('span', 'acts'));
    const acts = li.lastChild; acts.replaceChildren(); if (this.data.readonly) return;
    const add = (label, act, cls, spoken) => { const a = el('button', cls, label); a.type = 'button'; a.dataset.act = act; a.tabIndex = tab; a.setAttribute('aria-label', spoken); acts.append(a); };
    if (t.state === 'suggested') { if (t.choices) add('Choose', 'select', '', `Choose how ${t.name} is read`); else add('Accept', 'accept', '', `Accept ${t.from[0]} for ${t.name}`); }
    if (t.state === 'open') { add('Set constant', 'constant', t.required ? '' : 'more', `Set a constant for ${t.name}`); add('Expression', 'sql', 'more', `Write an expression for ${t.name}`); }
  }

  rove(li) {
    if (!li) return; const ul = li.parentElement; if (!ul) return;
    for (const other of ul.querySelectorAll('li.r')) { const on = other === li ? 0 : -1; other.querySelectorAll('button, a').forEach(b => { if (b.tabIndex !== on) b.tabIndex = on; }); }
    this.soon();
  }

  // Keyboard and clicks

  key(e, side) {
    const li = e.target.closest('li.r'); if (!li) return;
    const rows = this.seen(side), at = rows.indexOf(li), name = li.dataset.n, main = e.target.classList.contains('f');
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1, PageDown: at + 8, PageUp: at - 8 }[e.key];
    if (to !== undefined) { e.preventDefault(); rows[Math.max(0, Math.min(to, rows.length - 1))].querySelector('.f').focus(); return; }
    if (e.key === 'Escape' && this.picked) { e.preventDefault(); e.stopPropagation(); this.put(''); this.say('Put down.'); return; }
    if (main && (e.key === 'ArrowRight' || e.key === 'ArrowLeft') && (e.key === 'ArrowRight') === (side === 's')) { e.preventDefault(); this.lists[side === 's' ? 't' : 's'].querySelector('.f[tabindex="0"]')?.focus(); return; }
    if ((e.key === 'Delete' || e.key === 'Backspace') && side === 't') { e.preventDefault(); this.unmap(name); return; }
    if (main && e.key === 'Enter' && !e.ctrlKey && !e.metaKey) { e.preventDefault(); if (!e.repeat) this.enter(side, name); }
  }

  enter(side, name) {
    if (side === 's') {
      if (this.data.readonly) { this.say(this.data.readonly); return; }
      if (this.picked === name) { this.put(''); this.say('Put down.'); return; }
      this.put(name); this.lists.t.querySelector('.f[tabindex="0"]')?.focus();
      this.say(`${name} picked up. Choose a target field and press Enter; Escape puts it down.`);
    } else if (this.picked) { const source = this.picked; this.put(''); this.connect(source, name); }
    else this.select(name);
  }

  click(e, side) {
    const li = e.target.closest('li.r'); if (!li || e.target.closest('a')) return;
    const act = e.target.closest('.acts button')?.dataset.act, name = li.dataset.n;
    if (act === 'accept') { this.settle([[name, this.target(name).from]]); this.say(`${name} is mapped from ${list(this.target(name).from)}.`); this.tell('accept', { targets: [name] }); li.firstChild.focus(); }
    else if (act === 'select') this.select(name);
    else if (act) { this.say(`${name}: ${act === 'sql' ? 'write the expression' : 'write the constant'} at the right.`); this.tell(act, { target: name }); }
    else if (e.target.closest('.f')) { if (e.detail === 0 || (side === 't' && this.picked)) this.enter(side, name); else if (side === 't') this.select(name); }
  }

  put(name) { this.picked = name; for (const li of this.seen('s')) li.classList.toggle('picked', li.dataset.n === name); this.soon(); }
  select(name) { if (name !== this.data.selected) { this.data.selected = this.revealed = name; this.sift(); this.reveal(name); this.say(`${name} is shown at the right.`); this.tell('select', { target: name }); } }
  // The selected field and the other end of its line come into sight.
  reveal(name) {
    const at = this.tops.t.get(name), goals = this.lists.t, half = TARGET / 2;
    if (at !== undefined && (at - half < goals.scrollTop || at + half > goals.scrollTop + goals.clientHeight)) goals.scrollTop = at - half - Math.floor(goals.clientHeight / 2 / TARGET) * TARGET;
    const from = this.target(name)?.from[0], top = this.tops.s.get(from), ul = this.lists.s;
    if (top !== undefined && (top < ul.scrollTop || top > ul.scrollTop + ul.clientHeight)) ul.scrollTop = top - ul.clientHeight / 2;
  }
  connect(source, target) {
    if (this.data.readonly) { this.say(this.data.readonly); return; }
    const t = this.target(target); if (!t || (t.state === 'mapped' && t.from.length === 1 && t.from[0] === source)) return;
    this.data.selected = target; this.settle([[target, [source]]]); this.say(`${target} is mapped from ${source}.`); this.tell('map', { source, target });
  }
  unmap(name) {
    const t = this.target(name); if (this.data.readonly || !t || !done(t)) { this.say(this.data.readonly || `${name} is not mapped.`); return; }
    Object.assign(t, { state: 'open', from: [], text: '' }); this.sift(); this.head(); this.say(`${name} is not mapped any more.`); this.tell('unmap', { target: name });
  }
  // Drawn at once; what the server says comes after.
  settle(pairs) { for (const [name, from] of pairs) Object.assign(this.target(name), { state: 'mapped', from, text: '', choices: false }); this.sift(); this.head(); }

  // Dragging

  down(e, side) {
    const li = e.target.closest('li.r');
    if (!li || e.button || this.data.readonly || e.pointerType === 'touch' || e.target.closest('a, .acts')) return;
    this.begin(e, side === 's' ? { source: li.dataset.n } : { target: li.dataset.n });
  }
  // Near a port the gutter takes hold of it: a source's begins a line, a mapped target's takes its line's end away.
  at(e) {
    const box = this.gut.getBoundingClientRect(), x = e.clientX - box.left, y = e.clientY - box.top;
    const side = x < 14 ? 's' : x > box.width - 14 ? 't' : ''; if (!side) return null;
    const half = (side === 's' ? SOURCE : TARGET) / 2;
    for (const [name, top] of this.tops[side]) { const at = FIND + top - this.lists[side].scrollTop; if (Math.abs(at - y) < half && at > FIND) return { side, name }; }
    return null;
  }
  grab(e) {
    if (e.button || this.data.readonly || e.target.closest('.score')) return;
    const port = this.at(e); if (!port) return;
    const t = port.side === 't' ? this.target(port.name) : null;
    this.begin(e, port.side === 's' ? { source: port.name } : t.state === 'mapped' && t.from.length === 1 ? { source: t.from[0], end: t.name } : { target: t.name });
  }
  begin(e, what) {
    const x0 = e.clientX, y0 = e.clientY, root = this.wrap.getRootNode(), id = e.pointerId;
    const move = m => {
      if (m.pointerId !== id) return;
      if (!this.drag && Math.hypot(m.clientX - x0, m.clientY - y0) < 4) return;
      if (!this.drag) { this.drag = what; this.wrap.style.cursor = 'grabbing'; this.wrap.style.userSelect = 'none'; this.why.hidden = true; this.pull(); }
      what.x = m.clientX; what.y = m.clientY;
      const side = what.source ? 't' : 's', over = root.elementFromPoint(m.clientX, m.clientY)?.closest?.('li.r');
      const found = over && this.lists[side].contains(over) ? over : this.near(side, m.clientX, m.clientY);
      if (what.over !== found) { what.over?.classList.remove('over'); found?.classList.add('over'); what.over = found; }
      this.soon();
    };
    const stop = () => {
      removeEventListener('pointermove', move); removeEventListener('pointerup', up); removeEventListener('pointercancel', cancel); removeEventListener('keydown', escape, true);
      what.over?.classList.remove('over'); this.drag = null; this.wrap.style.cursor = this.wrap.style.userSelect = '';
      // The click that follows a drag is no click.
      addEventListener('click', swallow, { capture: true, once: true }); setTimeout(() => removeEventListener('click', swallow, true), 0);
    };
    const swallow = c => { c.stopPropagation(); c.preventDefault(); };
    const up = u => {
      if (u.pointerId !== id) return; if (!this.drag) { removeEventListener('pointermove', move); removeEventListener('pointerup', up); removeEventListener('pointercancel', cancel); removeEventListener('keydown', escape, true); return; }
      const hit = what.over?.dataset.n; stop();
      if (what.end) { if (!hit) this.unmap(what.end); else if (hit !== what.end) { const t = this.target(what.end); Object.assign(t, { state: 'open', from: [], text: '' }); this.data.selected = hit; this.settle([[hit, [what.source]]]); this.say(`${hit} is mapped from ${what.source}; ${what.end} is not mapped any more.`); this.tell('move', { before: what.end, after: hit }); } }
      else if (hit) this.connect(what.source || hit, what.source ? hit : what.target);
      this.soon();
    };
    const cancel = () => { if (this.drag) stop(); this.soon(); };
    const escape = k => { if (k.key === 'Escape' && this.drag) { k.preventDefault(); k.stopPropagation(); stop(); this.soon(); } };
    addEventListener('pointermove', move); addEventListener('pointerup', up); addEventListener('pointercancel', cancel); addEventListener('keydown', escape, true);
  }
  near(side, x, y) {
    const box = this.gut.getBoundingClientRect(), edge = side === 't' ? box.right : box.left; if (Math.abs(edge - x) > 24) return null;
    for (const li of this.seen(side)) { const r = li.getBoundingClientRect(); if (y >= r.top && y < r.bottom) return li; }
    return null;
  }
  // A drag near the end of a column scrolls it.
  pull() {
    if (!this.drag) return;
    const ul = this.lists[this.drag.source ? 't' : 's'], box = ul.getBoundingClientRect(), y = this.drag.y;
    if (y > box.bottom - 24 && y < box.bottom + 40) ul.scrollTop += 8; else if (y < box.top + 24 && y > box.top - 40) ul.scrollTop -= 8;
    requestAnimationFrame(() => this.pull());
  }

  // Lines

  soon() { if (!this.due && !this.body.hidden) this.due = requestAnimationFrame(() => { this.due = 0; this.lines(); }); }

  lines() {
    if (!this.data || this.body.hidden) return;
    const W = this.gut.clientWidth, H = this.gut.clientHeight, st = this.lists.s.scrollTop, tt = this.lists.t.scrollTop;
    const place = (side, name) => { const top = this.tops[side].get(name); if (top === undefined) return null; const y = FIND + top - (side === 's' ? st : tt); return { y: Math.max(FIND - 1, Math.min(H + 1, y)), off: y < FIND || y > H, above: y < FIND }; };
    const root = this.wrap.getRootNode(), focus = root.activeElement?.closest?.('li.r') ?? this.hot, hotSource = this.picked || (focus && this.lists.s.contains(focus) ? focus.dataset.n : ''), hotTarget = focus && this.lists.t.contains(focus) ? focus.dataset.n : '';
    let drawn = '', over = ''; const labels = [], esc = cls => cls.filter(Boolean).join(' ');
    const path = (y1, y2) => `M6 ${y1}C${6 + W * .45} ${y1} ${6 + W * .55} ${y2} ${6 + W} ${y2}`;
    for (const t of this.data.targets) for (const from of t.from) {
      if (this.drag?.end === t.name) continue;
      const a = place('s', from), b = place('t', t.name); if (!a || !b || (a.off && b.off)) continue;
      const sug = t.state === 'suggested', sel = t.name === this.data.selected || t.name === hotTarget || from === hotSource;
      const line = `<path class="${esc(['ln', sug && 'sug', sug && t.score < SURE && 'low', sel && !sug && 'sel', (a.off || b.off) && 'off'])}" d="${path(a.y, b.y)}"/>`;
      if (sel) over += line; else drawn += line;
      if (sug && !b.off) labels.push({ t, y: (a.y + b.y) / 2, low: t.score < SURE });
    }
    let ports = ''; const on = new Set(this.data.targets.filter(done).flatMap(t => t.from)), sel = new Set(this.target(this.data.selected)?.state === 'mapped' ? this.target(this.data.selected).from : []);
    for (const [name] of this.tops.s) { const p = place('s', name); if (!p.off) ports += `<circle cx="6" cy="${p.y}" r="4" class="${name === hotSource && this.picked ? 'pick' : sel.has(name) ? 'sel' : on.has(name) ? 'on' : ''}"/>`; }
    for (const [name] of this.tops.t) { const p = place('t', name), t = this.target(name); if (!p.off) ports += `<circle cx="${6 + W}" cy="${p.y}" r="4" class="${t.name === this.data.selected && done(t) ? 'sel' : done(t) ? 'on' : t.required && t.state === 'open' ? 'wait' : t.state === 'suggested' ? 'sug' : ''}"/>`; }
    if (this.drag?.x !== undefined) {
      const box = this.gut.getBoundingClientRect(), d = this.drag, y = d.y - box.top, x = d.x - box.left + 6, a = d.source ? place('s', d.source) : null, b = d.source ? null : place('t', d.target);
      if (a) { const end = d.over ? place('t', d.over.dataset.n) : null; over += `<path class="ln drag" d="${end ? path(a.y, end.y) : `M6 ${a.y}C${6 + W * .4} ${a.y} ${x - W * .3} ${y} ${x} ${y}`}"/>`; }
      if (b) { const end = d.over ? place('s', d.over.dataset.n) : null; over += `<path class="ln drag" d="${end ? path(end.y, b.y) : `M${6 + W} ${b.y}C${6 + W * .6} ${b.y} ${x + W * .3} ${y} ${x} ${y}`}"/>`; }
    }
    this.svg.innerHTML = drawn + over + ports;
    this.marks(labels, H);
  }

  // Scores stay apart by their height, and keep their element so that focus and hover last.
  marks(labels, H) {
    labels.sort((a, b) => a.y - b.y); let last = FIND - 12;
    for (const l of labels) { l.y = Math.max(l.y, last + 22, FIND + 12); last = l.y; }
    const live = new Set();
    for (const { t, y, low } of labels) {
      if (y > H - 8) continue;
      live.add(t.name); let b = this.labels.get(t.name);
      if (!b) { b = el('button', 'score'); b.type = 'button'; b.onmouseenter = b.onfocus = () => this.reasons(b, t.name); b.onmouseleave = b.onblur = () => { this.why.hidden = true; }; b.onclick = () => this.select(t.name); b.onkeydown = e => { if (e.key === 'Escape') this.why.hidden = true; }; b.setAttribute('aria-describedby', 'why'); this.labels.set(t.name, b); this.scores.append(b); }
      const text = `${t.score} %`; if (b.textContent !== text) { b.textContent = text; } b.setAttribute('aria-label', `${text}: ${t.from[0]} to ${t.name}`);
      b.classList.toggle('low', low); b.style.top = y + 'px';
    }
    for (const [name, b] of this.labels) if (!live.has(name)) { b.remove(); this.labels.delete(name); }
  }

  reasons(at, name) {
    const t = this.target(name); if (!t || this.drag) return;
    const head = el('div'), score = el('b', t.score < SURE ? 'low' : '', `${t.score} %`), ul = el('ul'); head.append(el('b', '', `${t.best} to ${t.name}`), score);
    for (const reason of t.reasons) ul.append(el('li', '', reason));
    if (t.runner) ul.append(el('li', '', `Runner-up: ${t.runner}`)); else ul.append(el('li', '', 'No runner-up'));
    this.why.replaceChildren(head, ul); if (t.choices) this.why.append(el('p', '', 'Its values read two ways: choose at the right.')); this.why.hidden = false;
    const box = this.wrap.getBoundingClientRect(), r = at.getBoundingClientRect(), high = this.why.offsetHeight;
    this.why.style.left = Math.max(8, Math.min(box.width - 328, r.left - box.left + r.width / 2 - 160)) + 'px';
    const below = r.bottom - box.top + 6; this.why.style.top = (below + high > box.height ? r.top - box.top - high - 6 : below) + 'px';
  }

  // The same draft as a table

  grid() {
    const body = this.table.querySelector('tbody'), kept = this.rows.x, want = [];
    for (const name of this.order) {
      const t = this.target(name); if (!t) continue;
      let tr = kept.get(name); if (!tr) { tr = el('tr'); kept.set(name, tr); }
      tr.classList.toggle('sel', name === this.data.selected); want.push(tr);
      const sign = JSON.stringify([t, this.data.readonly]); if (tr.sign === sign) continue; tr.sign = sign;
      const one = el('td'), two = el('td'), three = el('td', 'w'), four = el('td'), b = el('button', 'name cut', name); b.type = 'button'; b.dir = 'auto'; b.title = t.hint || name; b.onclick = () => this.select(name);
      one.append(b); if (t.required) one.append(el('small', '', 'required'));
      const pick = el('select'), now = t.state === 'mapped' ? t.from[0] : t.state === 'constant' ? CONSTANT : t.state === 'sql' ? SQL : NONE; pick.setAttribute('aria-label', `Where ${name} comes from`); pick.disabled = !!this.data.readonly; pick.className = now === NONE ? 'open' + (t.required ? ' wait' : '') : '';
      const opt = (value, label) => { const o = el('option', '', label); o.value = value; return o; }, words = { [NONE]: 'Not mapped', [CONSTANT]: 'A constant…', [SQL]: 'An expression…' };
      pick.append(opt(now, words[now] ?? now));
      // Filled when it is wanted: sixty boxes of three hundred fields each would weigh on every page.
      const fill = () => { if (pick.filled) return; pick.filled = true; pick.replaceChildren(opt(NONE, words[NONE]), ...this.data.sources.map(f => opt(f.name, f.name)), opt(CONSTANT, words[CONSTANT]), opt(SQL, words[SQL])); if (![...pick.options].some(o => o.value === now)) pick.append(opt(now, now)); pick.value = now; };
      pick.onpointerdown = pick.onfocus = fill; pick.onchange = () => this.tell('origin', { target: name, origin: pick.value });
      two.append(pick);
      if (t.state === 'suggested') { const s = el('span', 'score' + (t.score < SURE ? ' low' : ''), `${t.score} %`); three.append(s, document.createTextNode(`${t.from[0]}: ${t.reasons.slice(0, 2).join('; ')}`)); } else three.textContent = t.more || (t.state === 'mapped' && t.best === t.from[0] ? t.reasons.slice(0, 2).join('; ') : '');
      three.title = three.textContent;
      const go = (label, act) => { const g = el('button', 'go', label); g.type = 'button'; g.onclick = act; g.setAttribute('aria-label', `${label} ${name}`); four.append(g); };
      if (t.state === 'suggested' && !t.choices && !this.data.readonly) go('Accept', () => { this.settle([[name, t.from]]); this.grid(); this.tell('accept', { targets: [name] }); }); else go(t.state === 'suggested' && t.choices ? 'Choose' : t.state === 'mapped' && t.text ? t.text : 'Open', () => this.select(name));
      const cut = el('span', 'cut'); cut.append(...three.childNodes); three.append(cut);
      tr.replaceChildren(one, two, three, four);
    }
    if (want.length !== body.children.length || want.some((tr, i) => body.children[i] !== tr)) body.replaceChildren(...want);
  }
}

const done = t => t.state === 'mapped' || t.state === 'constant' || t.state === 'sql';
function typing(e) { const at = e.composedPath()[0]; return at instanceof Element && (at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName)); }
function spark(bins) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg'), path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  const most = Math.max(...bins, 1), wide = 44 / bins.length; svg.setAttribute('width', 44); svg.setAttribute('height', 14); svg.setAttribute('aria-hidden', 'true');
  path.setAttribute('d', bins.map((n, i) => { const h = Math.max(1, 14 * n / most); return `M${(i * wide).toFixed(1)} ${(14 - h).toFixed(1)}h${Math.max(.8, wide - 1).toFixed(1)}v${h.toFixed(1)}h-${Math.max(.8, wide - 1).toFixed(1)}z`; }).join(''));
  svg.append(path); return svg;
}
