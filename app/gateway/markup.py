"""The pages before the app, as plain HTML: no script, no request to anybody else."""

from __future__ import annotations

from html import escape

from starlette.responses import HTMLResponse

_FRAME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Phantom Spire</title><link rel="icon" href="/assets/mark.png">
<link rel="stylesheet" href="/assets/tokens.css"><link rel="stylesheet" href="/assets/door.css"></head>
<body class="{kind}"><main class="{card}">
<div class="brand"><img src="/assets/mark.svg" alt="">Phantom Spire</div>
{beside}<div class="text"><h1>{title}</h1>
{body}
</div></main></body></html>
"""


def page(title: str, body: str, status: int = 200, *, wide: bool = False, beside: str = "") -> HTMLResponse:
    """A whole page. `title` is escaped here, `body` and what stands `beside` it by who made them.

    Never cached: it may hold a token.
    """
    kind, card = ("", "wide") if wide else ("door", "card")
    card = f"{card} two" if beside else card
    html = _FRAME.format(title=escape(title), kind=kind, card=card, body=body, beside=beside)
    return HTMLResponse(html, status, {"cache-control": "no-store"})


def _problem(text: str) -> str:
    return f'<p class="problem" role="alert" id="problem">{escape(text)}</p>' if text else ""


def _field(
    label: str, name: str, kind: str, complete: str, *, value: str = "", hint: str = "", more: str = ""
) -> str:
    shown = f'<span class="hint" id="{name}-hint">{escape(hint)}</span>' if hint else ""
    told = f' aria-describedby="{name}-hint"' if hint else ""
    return (
        f'<label for="{name}">{escape(label)}{shown}<input id="{name}" name="{name}" type="{kind}" '
        f'autocomplete="{complete}" value="{escape(value)}" required{told}{more}></label>'
    )


def sign_in(problem: str = "", login: str = "", after: str = "/", status: int = 200) -> HTMLResponse:
    """The sign-in form."""
    focus = ("", " autofocus") if login else (" autofocus", "")
    body = (
        f'{_problem(problem)}<form method="post" action="/auth/login">'
        f'<input type="hidden" name="next" value="{escape(after)}">'
        + _field("Account", "login", "text", "username", value=login, more=' maxlength="200"' + focus[0])
        + _field("Password", "password", "password", "current-password", more=' maxlength="512"' + focus[1])
        + "<button>Sign in</button></form>"
    )
    return page("Sign in", body, status)


def set_up(token: str, problem: str = "", login: str = "", name: str = "", status: int = 200) -> HTMLResponse:
    """The form that makes the first administrator."""
    body = (
        "<p>Create the first administrator. This link works once.</p>"
        f'{_problem(problem)}<form method="post" action="/setup"><input type="hidden" name="token" value="{escape(token)}">'
        + _field("Account", "login", "text", "username", value=login, more=' maxlength="200" autofocus')
        + _field("Your name", "name", "text", "name", value=name, more=' maxlength="200"')
        + _field(
            "Password", "password", "password", "new-password", hint="At least 12 characters.",
            more=' minlength="12" maxlength="512"',
        )
        + _field("Password again", "again", "password", "new-password", more=' minlength="12" maxlength="512"')
        + "<button>Create account and sign in</button></form>"
    )  # fmt: skip
    return page("Welcome", body, status)


def message(title: str, text: str, link: str, words: str, status: int = 200) -> HTMLResponse:
    """A page that says one thing and where to go next."""
    body = f'<p>{escape(text)}</p><p><a href="{escape(link)}">{escape(words)}</a></p>'
    return page(title, body, status)
