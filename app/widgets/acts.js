const SOON = 1500, LATE = 12000;
function queue(box, heard, trigger) {
  const q = box.queue ??= { life: Math.random().toString(36).slice(2), n: 0, acts: [], wait: SOON };
  q.tell = () => { trigger('acted', { life: q.life, acts: q.acts }); clearTimeout(q.again); q.again = setTimeout(() => box.isConnected && q.tell(), q.wait); q.wait = Math.min(2 * q.wait, LATE); };
  q.send = (act, more) => { q.acts.push({ act, ...more, n: ++q.n }); q.wait = SOON; q.tell(); };
  if (heard && heard.life === q.life) q.acts = q.acts.filter(act => act.n > heard.n);
  if (!q.acts.length) clearTimeout(q.again);
  return q;
}
