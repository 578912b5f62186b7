"""A reader's browser: the site renders by itself, and in JupyterLab a slider draws a new figure."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Page, chromium, installed
from jupyter_lab import SLOW, jupyterlab
from test_site import HTML, reason_to_skip

ROOT = Path(__file__).parent.parent
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
CUT_OFF = """
[...document.querySelectorAll('article *')].filter(element => {
  const box = element.getBoundingClientRect();
  if (!box.width || box.right <= window.innerWidth + 1) return false;
  for (let around = element; around.tagName !== 'ARTICLE'; around = around.parentElement)
    if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(around).overflowX)) return false;
  return true;
}).map(element => `${element.tagName} ${element.textContent.slice(0, 60)}`)
"""
"""What is wider than the page and lies in nothing that scrolls by itself."""
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
        assert page.run(CUT_OFF) == []
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


def test_in_jupyterlab_a_slider_draws_a_new_figure(page: Page, tmp_path: Path) -> None:
    page.requests.clear()
    page.complaints.clear()
    page.resize(1400, 1000)
    work = tmp_path / "work"
    work.mkdir()
    shutil.copy(ROOT / "notebooks" / "00_explorer.ipynb", work)
    with jupyterlab(work, tmp_path, PAPER_OUTPUT_DIR=str(tmp_path / "out")) as address:
        page.open(f"{address}/lab/tree/00_explorer.ipynb")
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
