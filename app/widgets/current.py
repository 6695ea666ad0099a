"""What every open page watches: its own link in the sidebar, its address, and whether its person is still signed in."""

from __future__ import annotations

import streamlit as st

# Streamlit takes a click on the current page's link for a visit to where one is already and keeps the
# address as it stands; people expect the whole page. And a page whose connection was ended tries again
# for ever under a notice of its own: where that is because of a sign-out, there is a sign-in instead.
# What a script writes into the address by itself (its tenant, what is selected at first) is the same place
# written out: as an entry of its own in the history it would be written again at every step back.
JS = """
const EVERY = 1000;
export default function () {
  if (!history.ours) {
    const push = history.pushState; let acted = false, between = false; history.ours = true;
    const act = () => { acted = true; between = false; };
    for (const kind of ['pointerdown', 'keydown', 'drop']) addEventListener(kind, act, true);
    addEventListener('popstate', () => { acted = false; }, true);
    // An address that only lacks its tenant, or gains it, is the one that stands there.
    const split = url => { const at = new URL(url, location.href), tenant = at.searchParams.get('tenant'); at.searchParams.delete('tenant'); return [at.pathname + at.search, tenant]; };
    const alike = url => { const [to, tenant] = split(url), [here, mine] = split(location.href); return to === here && (!tenant || !mine || tenant === mine); };
    history.pushState = function (state, title, url) {
      const given = url ?? location.href, here = alike(given), same = new URL(given, location.href).pathname === location.pathname;
      // On its way to another page Streamlit first writes that page's parameters behind this one's name: a place that never was.
      const itself = here || (!acted && (same || between));
      if (!here) { between = acted && same; acted = false; }
      return itself ? history.replaceState(state, title, url) : push.call(history, state, title, url);
    };
  }
  if (document.watched) return;
  document.watched = true;
  document.addEventListener('click', event => {
    const link = event.target.closest?.('[data-testid="stSidebarNavLink"][aria-current="page"]');
    if (link && location.search && !event.metaKey && !event.ctrlKey) { event.preventDefault(); event.stopPropagation(); leave(link.href); }
  }, true);
  // With its tenant, which would else be written into it as a further step of the history: then Back needed two.
  const leave = address => { const to = new URL(address), tenant = new URLSearchParams(location.search).get('tenant'); if (tenant) to.searchParams.set('tenant', tenant); location.assign(to.href); };
  // Streamlit's own notice speaks of itself and of the internet, neither of which helps whoever reads it.
  const OURS = [['Connection error', 'No connection'], ['Streamlit server is not responding', 'Phantom Spire does not answer. Drafts are kept on the server, and this page goes on by itself once it answers. If it does not, ask whoever runs it.']];
  const reword = () => {
    for (const dialog of document.querySelectorAll('[role="dialog"]')) {
      const texts = document.createTreeWalker(dialog, NodeFilter.SHOW_TEXT);
      for (let at; (at = texts.nextNode());) { const ours = OURS.find(([theirs]) => at.nodeValue.startsWith(theirs)); if (ours) at.nodeValue = ours[1]; }
    }
  };
  // A look now and then, and not at a change only: this may be mounted after it, and an answer may not come.
  const look = async () => {
    const app = document.querySelector('[data-test-connection-state]');
    if (app && app.getAttribute('data-test-connection-state') !== 'CONNECTED') {
      try {
        const answer = await fetch('/api/v1/me', { headers: { accept: 'application/json' } });
        if (answer.status === 401) { location.assign('/sign-in?ended=1&next=' + encodeURIComponent(location.pathname + location.search)); return; }
      } catch { reword(); }
    }
    setTimeout(look, EVERY);
  };
  look();
}
"""
_current = st.components.v2.component("spire_current", js=JS)


def watch() -> None:
    """Lead the current page's link to the page without its parameters, and a signed-out page to sign-in."""
    _current(key="lead-back", height=1)
