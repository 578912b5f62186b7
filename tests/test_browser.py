"""A reader's browser: the site renders by itself, and in JupyterLab a slider draws a new figure."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from browser import SECONDS, Page, chromium, installed
from test_site import HTML, reason_to_skip

ROOT = Path(__file__).parent.parent
SLOW = 180  # seconds at most, on shared cores, for JupyterLab to start or for all cells to run
WIDTHS = {"phone": 390, "desktop": 1280}
SLIDER = "document.querySelectorAll('.jupyter-widgets .noUi-handle')[1]"  # of d
FIGURE = "document.querySelector('img.jupyter-widgets')"
RUN_ALL = "document.querySelector('[data-command=\"notebook:restart-run-all\"]')"
IN_VIEW = f"""new Promise(done => {{
    {SLIDER}.scrollIntoView({{block: 'center'}});
    setTimeout(() => {{
        const box = {SLIDER}.getBoundingClientRect();
        const there = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
        done(!!there && !!there.closest('.noUi-handle'));
    }}, 500);
}})"""
"""Scroll to the slider; whether it stays in view: JupyterLab moves the page as figures load."""
KERNELS = "fetch('/api/kernels').then(r => r.json())"
IDLE = f"{KERNELS}.then(all => all.length === 1 && all[0].execution_state === 'idle')"
ACCEPT = "document.querySelector('.jp-Dialog .jp-mod-accept')"

pytestmark = pytest.mark.skipif(installed() is None, reason="no Chromium is installed")
needs_site = pytest.mark.skipif(bool(reason_to_skip()), reason=str(reason_to_skip()))

LOOSE_TEX = r"""
(() => {
  const walker = document.createTreeWalker(document.querySelector('article'), NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const text = walker.currentNode.data;
    const parent = walker.currentNode.parentElement;
    const apart = parent.closest('pre, code, mjx-container, script, .sig');
    if (!apart && /\$|\\[a-z(]/.test(text)) found.push(text);
  }
  return found;
})()
"""
BLANK = "[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src)"
TOO_WIDE = "document.documentElement.scrollWidth - window.innerWidth"
TYPESET = "!document.querySelector('.math') || window.MathJax?.startup?.promise?.then(() => true)"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A tab of a new browser."""
    with chromium(tmp_path_factory.mktemp("browser") / "profile") as page:
        yield page


@needs_site
@pytest.mark.parametrize("name", sorted(str(p.relative_to(HTML)) for p in HTML.rglob("*.html")))
def test_a_page_renders_by_itself(page: Page, name: str) -> None:
    page.requests.clear()
    page.complaints.clear()
    for dark, width in ((False, WIDTHS["desktop"]), (True, WIDTHS["phone"])):
        page.resize(width, 900, dark=dark)
        page.open((HTML / name).as_uri())
        page.run(TYPESET)
        assert page.run(LOOSE_TEX) == []
        assert page.run("document.querySelectorAll('mjx-merror').length") == 0
        assert page.run(BLANK) == []
        assert page.run(TOO_WIDE) <= 0, "the page must not scroll sideways"
    assert page.external() == []
    assert page.complaints == []


@needs_site
def test_formulas_are_drawn(page: Page) -> None:
    page.open((HTML / "notebooks" / "02_lower_bounds.html").as_uri())
    page.run(TYPESET)
    assert page.run("document.querySelectorAll('mjx-container svg').length") > 20


@needs_site
def test_a_search_finds_a_compressor(page: Page) -> None:
    page.open((HTML / "search.html").as_uri() + "?q=trellis")
    assert page.wait("document.querySelectorAll('.search li a').length")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """The address of a copy of notebook 00 in a JupyterLab with settings of its own."""
    work, home = folder / "work", folder / "home"
    work.mkdir()
    shutil.copy(ROOT / "notebooks" / "00_explorer.ipynb", work)
    kernel = home / "data" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": argv, "language": "python", "display_name": "Python 3"}))
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PAPER_OUTPUT_DIR": str(folder / "out"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }
    port = free_port()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}"]
    command += ["--ServerApp.ip=127.0.0.1", "--IdentityProvider.token=", "--allow-root"]
    quiet = home / "settings" / "@jupyterlab" / "apputils-extension"
    quiet.mkdir(parents=True)
    news = {"fetchNews": "false", "checkForUpdates": False}
    (quiet / "notification.jupyterlab-settings").write_text(json.dumps(news))
    address = f"http://127.0.0.1:{port}/lab/tree/00_explorer.ipynb"
    with (folder / "log").open("wb") as log:
        given = {"stdout": log, "stderr": log, "start_new_session": True}
        server = subprocess.Popen(command, cwd=work, env=environment, **given)
    try:
        _wait_for(address, server, folder / "log")
        yield address
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # with its kernel; asked politely it waits for that
        server.wait(SECONDS)


def _wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + SLOW
    while time.monotonic() < end and server.poll() is None:
        try:
            with urlopen(address, timeout=5):
                return
        except (URLError, ConnectionError):
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text('utf-8', 'replace')[-3000:]}")


def test_in_jupyterlab_a_slider_draws_a_new_figure(page: Page, tmp_path: Path) -> None:
    page.requests.clear()
    page.complaints.clear()
    page.resize(1400, 1000)
    with jupyterlab(tmp_path) as address:
        page.open(address)
        page.wait(IDLE, seconds=SLOW)
        page.click(RUN_ALL)
        page.wait(f"!!{ACCEPT}")
        page.click(ACCEPT)
        before = page.wait(f"{FIGURE}?.naturalWidth && {FIGURE}.src", seconds=SLOW)
        page.wait(IDLE, seconds=SLOW)
        page.wait(IN_VIEW)
        before = page.run(f"{FIGURE}.src")
        began = time.monotonic()
        page.drag(SLIDER, 80)
        page.wait(f"{FIGURE}.src !== '{before}' && {FIGURE}.naturalWidth > 0")
        print(f"from the slider to the new figure {time.monotonic() - began:.2f} s")
    assert page.external() == []
