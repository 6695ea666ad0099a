"""Help: what a page is for, its keys, and where the guide tells more. `?` opens it everywhere but in a text."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import streamlit as st

HTML = """<dialog aria-labelledby="help-title"><form method="dialog"><h2 id="help-title"></h2><button class="close" aria-label="Close the help">Close</button></form>
<div class="body"><p class="about"></p><h3>Keys</h3><dl class="keys"></dl><h3>In the guide</h3><ul class="guide"></ul></div></dialog>"""
CSS = """
dialog { position: fixed; inset: 0 0 0 auto; margin: 0; width: 360px; max-width: 100vw; height: 100dvh; max-height: none; padding: 0; border: 0; border-left: 1px solid var(--border); background: var(--bg); color: var(--text); font: 400 13px/20px var(--st-font); box-shadow: var(--shadow); overflow: auto; }
dialog::backdrop { background: rgb(10 14 20 / .32); }
form { display: flex; align-items: center; justify-content: space-between; gap: 12px; padding: 12px 16px; border-bottom: 1px solid var(--border); position: sticky; top: 0; background: var(--bg); }
h2 { font-size: 14px; font-weight: 600; margin: 0; } h3 { font-size: 12px; font-weight: 500; color: var(--muted); margin: 20px 0 6px; }
.body { padding: 12px 16px 24px; } p { margin: 0; }
.close { height: 28px; padding: 0 10px; font: 500 13px/1 var(--st-font); color: var(--text); background: var(--bg); border: 1px solid var(--border-2); border-radius: 6px; cursor: pointer; } .close:hover { background: var(--bg-3); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 6px 12px; margin: 0; } dt { white-space: nowrap; } dd { margin: 0; color: var(--muted); }
kbd { display: inline-block; min-width: 20px; padding: 0 5px; text-align: center; font: 500 12px/18px var(--st-font); color: var(--text); background: var(--bg-2); border: 1px solid var(--border); border-bottom-color: var(--border-2); border-radius: 4px; }
ul { list-style: none; margin: 0; padding: 0; display: grid; gap: 6px; } a { color: var(--accent-text); font-weight: 500; text-decoration: none; } a:hover { text-decoration: underline; }
:focus-visible { outline: 2px solid var(--accent-text); outline-offset: 2px; border-radius: 4px; }
"""
JS = """
export default function ({ data, parentElement: root }) {
  const box = root.querySelector('dialog'), said = JSON.stringify(data);
  if (box.said !== said) {
    box.said = said;
    const el = (tag, text) => { const e = document.createElement(tag); if (text !== undefined) e.textContent = text; return e; };
    box.querySelector('h2').textContent = data.title; box.querySelector('.about').textContent = data.about;
    box.querySelector('.keys').replaceChildren(...data.keys.flatMap(([keys, does]) => { const dt = el('dt'); keys.split(' ').forEach((k, i) => { if (i) dt.append(' '); dt.append(el('kbd', k)); }); return [dt, el('dd', does)]; }));
    box.querySelector('.guide').replaceChildren(...data.guide.map(([text, href]) => { const li = el('li'), a = el('a', text); a.href = href; a.target = '_blank'; a.rel = 'noopener'; li.append(a); return li; }));
  }
  const open = () => { if (!box.open) box.showModal(); };
  const typing = e => { const at = e.composedPath()[0]; return at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName) && !/^(checkbox|radio|button|file)$/.test(at.type); };
  const keys = e => {
    if (e.key !== '?' || e.ctrlKey || e.metaKey || e.altKey || typing(e)) return;
    // Only one help opens: where a page shows its own list of keys, that one.
    if (box.open) box.close(); else if (!document.querySelector('[class*="st-key-keys-help"]')) { e.preventDefault(); open(); }
  };
  const pressed = e => { if (e.target.closest?.('.sp-help') && !e.metaKey && !e.ctrlKey && !e.shiftKey) { e.preventDefault(); e.stopPropagation(); open(); } };
  box.onclick = e => { if (e.target === box && e.offsetX < 0) box.close(); };
  document.addEventListener('keydown', keys); document.addEventListener('click', pressed, true);
  return () => { document.removeEventListener('keydown', keys); document.removeEventListener('click', pressed, true); };
}
"""
_help = st.components.v2.component("spire_help", html=HTML, css=CSS, js=JS)

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Topic:
    """What a page's help says: what it is for, its keys, and pages of the guide by name."""

    title: str
    about: str
    keys: Pairs = ()
    guide: Pairs = ()


EVERYWHERE: Pairs = (
    ("?", "This help"),
    ("Esc", "Closes what is open"),
    ("Tab", "The next thing that can be used"),
)
LISTS: Pairs = (("Enter", "Opens what has the focus"),)
BARS: Pairs = (("← →", "From bar to bar"),)

TOPICS = {
    "home": Topic(
        "Home",
        "Whether all is well, what needs you, what ran and what runs next. Drop a file here to begin with a new feed.",
        LISTS,
        (("Files in", "files"), ("Schedules", "schedules")),
    ),
    "sources": Topic(
        "Sources",
        "Where data comes from. A source is looked at before it is mapped: how it is read, what stands in each "
        "field, and whether every line was understood.",
        LISTS,
        (("Files, addresses and folders", "files"), ("Databases, TAXII and MISP", "")),
    ),
    "mapping": Topic(
        "Mapping",
        "Draw each target field from the source's fields, and see at once what becomes of the rows. Nothing is "
        "stored before you run it.",
        (
            ("Ctrl Enter", "Tries the mapping on the sample"),
            ("S", "Saves"),
            ("Z", "Undoes the last edit"),
            ("Shift Z", "Does it again"),
        ),
        (("Mapping", "mapping"), ("Rules", "rules"), ("How pairs are suggested", "suggestion")),
    ),
    "runs": Topic(
        "Runs",
        "Each load with its books: every row that was read is inserted, updated, unchanged, duplicate, rejected or "
        "filtered. A load can be undone.",
        LISTS,
        (("Quarantine and replay", "quarantine"), ("Schedules", "schedules")),
    ),
    "quarantine": Topic(
        "Quarantine",
        "Rows that broke a rule, by cause, with their original text. Repair one, apply it to all alike, and run "
        "just those again.",
        (
            ("J K", "The next cause, the one before"),
            ("↓ ↑", "The next row, the one before"),
            ("E", "Edits the row; Esc leaves a field as it was"),
            ("A", "Applies the fix to all alike"),
            ("R", "Replays all that is shown, as it is"),
            *LISTS,
        ),
        (("Quarantine", "quarantine"), ("Rules", "rules")),
    ),
    "explorer": Topic(
        "Explorer",
        "The records of this tenant: browse, search, ask in SQL, and trace each one back to the line it came from.",
        (
            ("← →", "Along the time line; with Shift a span, which Enter keeps"),
            ("Ctrl Enter", "Asks the SQL"),
            ("Ctrl Space", "Offers tables, columns and words in the SQL; Tab takes one"),
            *LISTS,
        ),
        (("The same over HTTP", "api"), ("The same on the command line", "command-line")),
    ),
    "schedules": Topic(
        "Schedules",
        "Pipelines that run by themselves: when, what happens if the one before still runs or a time was missed, "
        "and what became of past times.",
        (*BARS, *LISTS),
        (("Schedules", "schedules"), ("Watched folders", "files")),
    ),
    "audit": Topic(
        "Audit",
        "Who did what. Each event carries the hash of the one before, so a change, a gap or a cut end shows when "
        "the chain is verified.",
        (*BARS, *LISTS),
        (("What the keys protect", "keys"), ("Running an installation", "operations")),
    ),
    "settings": Topic(
        "Settings",
        "Tenants, people and what they may do, API keys, the root key, the settings in force and the health of "
        "this installation.",
        LISTS,
        (("Running an installation", "operations"), ("Keys", "keys"), ("API keys", "api")),
    ),
    "profile": Topic(
        "Profile",
        "Your name, your password, where you are signed in, and the API keys you made.",
        (),
        (("API keys", "api"), ("Keys", "keys")),
    ),
}
PLAIN = Topic("Help", "Phantom Spire turns a dropped file into trusted records.")


def help(page: str) -> None:
    """Have `?` and the sidebar's link open the help of this page."""
    topic = TOPICS.get(page, PLAIN)
    guide = [(text, f"/help/{name}".rstrip("/")) for text, name in topic.guide]
    data = asdict(topic) | {
        "keys": [*topic.keys, *EVERYWHERE],
        "guide": [*guide, ("The whole guide", "/help"), ("The API, route by route", "/api-docs")],
    }
    _help(key="page-help", data=data, height=1)
