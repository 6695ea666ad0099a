"""What all tests share: real components, a clean environment, and an honest account of what did not run.

A component that is missing is skipped with its reason and listed at the end. With CI=true a missing
required one fails instead.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.servers import chromium, mariadb, misp, mongo, openbao, postgres, s3, taxii
from tests.servers.process import Running, Unavailable, once, stop_all
from tests.servers.process import free_port as find_free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
RUN = "SPIRE_TEST_RUN"


def missing(component: str, reason: str, *, required: bool = True) -> NoReturn:
    """Skip the test for want of a component; in CI, fail it if the component is required."""
    if required and os.environ.get("CI") == "true":
        pytest.fail(f"{component} is required in CI: {reason}", pytrace=False)
    pytest.skip(f"{component}: {reason}")


def running(component: str, name: str, start: Callable[[Path], Running]) -> str:
    """The URL of a real server, one for the whole run; the test is skipped where it cannot run here."""
    try:
        return once(Path(os.environ[RUN]), name, start)
    except Unavailable as reason:
        missing(component, str(reason))


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a home of its own, so that no test sees or writes a person's settings and keys."""
    if hasattr(config, "workerinput"):
        return
    for name in [n for n in os.environ if n.startswith("SPIRE_") and not n.startswith("SPIRE_TEST_")]:
        del os.environ[name]
    run = Path(tempfile.mkdtemp(prefix="spire-tests-"))
    run.chmod(0o755)
    (run / "home").mkdir()
    os.environ[RUN] = str(run)
    os.environ["HOME"] = str(run / "home")
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"):
        os.environ.pop(name, None)


# What takes longest begins first, so that nobody waits at the end for one that has begun last.
LONG = ("proof", "browser", "docs", "connectors")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the folders with the longest tests first; within a folder the order stays."""

    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        return LONG.index(folder) if folder in LONG else len(LONG)

    items.sort(key=place)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and RUN in os.environ:
        stop_all(Path(os.environ.pop(RUN)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List everything that did not run, with its reason: nothing is skipped silently."""
    reasons: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = re.sub(r"^Skipped: ", "", text)
        reasons[reason] = reasons.get(reason, 0) + 1
    if reasons:
        terminalreporter.section("did not run")
        for reason, count in sorted(reasons.items()):
            terminalreporter.line(f"{count} × {reason}")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public threat-intelligence data that lies beside the repository."""
    named = os.environ.get("SPIRE_TEST_DATA")
    folder = Path(named) if named else SHARED / "data"
    if not folder.is_dir():
        missing(
            "public test data", f"no folder {folder.name} beside the repository", required=SHARED.is_dir()
        )
    return folder


@pytest.fixture
def free_port() -> int:
    """A loopback port that nothing listens on."""
    return find_free_port()


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """SQLAlchemy URL of a real, empty PostgreSQL, one for the whole run: use a schema of your own."""
    return running("PostgreSQL", "postgres", postgres.start)


@pytest.fixture(scope="session")
def mariadb_url() -> str:
    """URL of a real MariaDB with an empty database, one for the whole run."""
    return running("MariaDB", "mariadb", mariadb.start)


@pytest.fixture(scope="session")
def mongo_url() -> str:
    """URL of a real mongod, one for the whole run: use a database of your own."""
    return running("MongoDB", "mongo", mongo.start)


@pytest.fixture(scope="session")
def mongo_replica_url() -> str:
    """URL of a real mongod that is a replica set of one, one for the whole run: use a database of your own."""
    return running("MongoDB", "mongo-replica", lambda folder: mongo.start(folder, replica=True))


@pytest.fixture(scope="session")
def s3_url() -> str:
    """Address of a real S3 server, one for the whole run: use a bucket of your own."""
    return running("S3", "s3", s3.start)


@pytest.fixture(scope="session")
def vault() -> openbao.OpenBao:
    """A real OpenBao with a key/value engine, one for the whole run: use a tenant's name of your own."""
    return openbao.opened(running("OpenBao", "openbao", openbao.start), Path(os.environ[RUN]) / "openbao")


@pytest.fixture(scope="session", params=["2.1", "2.0"])
def taxii_server(request: pytest.FixtureRequest, shared_data: Path) -> taxii.Taxii:
    """A real TAXII server of each version, with the first objects of an ATT&CK bundle, one for the whole run."""
    version = str(request.param)
    objects = taxii.objects_from(shared_data)
    url = running(
        f"TAXII {version}", f"taxii-{version}", lambda folder: taxii.start(folder, version, objects)
    )
    return taxii.Taxii(url, version, objects)


@pytest.fixture(scope="session")
def misp_server() -> misp.Misp:
    """A real MISP server with a few events, one for the whole run: add events of your own, change none of its."""
    return misp.running(running("MISP", "misp", misp.start))


# One browser per module, not per worker: while Playwright runs, asyncio.run() fails in its thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium, driven by Playwright."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        missing("Chromium", "playwright is not installed")
    try:
        program = chromium.find()
    except Unavailable as reason:
        missing("Chromium", str(reason))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(program), args=chromium.ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def viewport() -> tuple[int, int]:
    """Width and height of `page`; parametrize `viewport` to change it."""
    return (1280, 800)


@pytest.fixture
def scheme() -> str:
    """Colour scheme of `page`, light or dark; parametrize `scheme` to change it."""
    return "light"


@pytest.fixture
def page(
    browser: Browser, viewport: tuple[int, int], scheme: str, request: pytest.FixtureRequest
) -> Iterator[Page]:
    """A fresh page with no cookies. It may ask loopback only: any other address fails the test.

    After a failure its picture lies in .cache/screens under the test's name.
    """
    context = browser.new_context(
        viewport={"width": viewport[0], "height": viewport[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        locale="en-GB",
        timezone_id="UTC",
        reduced_motion="reduce",
    )
    foreign: list[str] = []
    context.on(
        "request",
        lambda asked: (
            None
            if re.match(r"(https?|wss?)://(127\.0\.0\.1|localhost)[:/]|data:|blob:|about:", asked.url)
            else foreign.append(asked.url)
        ),
    )
    page = context.new_page()
    page.set_default_timeout(15_000)
    yield page
    report = request.node.stash.get(CALLED, None)
    if report is not None and report.failed:
        screens = ROOT / ".cache" / "screens"
        screens.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=screens / (re.sub(r"[^\w.-]+", "-", request.node.name) + ".png"))
    context.close()
    assert not foreign, f"the page asked addresses outside this machine: {foreign[:5]}"


CALLED = pytest.StashKey[pytest.TestReport]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call":
        item.stash[CALLED] = report
    return report
