"""The built site is whole and stands by itself: links, figures with words, no other host, weight.

`make site` builds it; without it, or where it is older than its sources, these tests are skipped.
"""

import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parent.parent
HTML = ROOT / "build" / "site" / "html"
BUILT = ROOT / "build" / "site" / "built"
MOST_BYTES = 5_000_000
SOURCES = ("docs/*.md", "docs/*.py", "docs/_static/*", "build/notebooks/*.ipynb", "figures/*.svg")


def reason_to_skip() -> str | None:
    """Why there is nothing to test, None if there is."""
    if not BUILT.exists():
        return "the site is not built: make site"
    built = BUILT.stat().st_mtime
    newer = [p for pattern in SOURCES for p in ROOT.glob(pattern) if p.stat().st_mtime > built]
    return f"the site is older than {newer[0].relative_to(ROOT)}: make site" if newer else None


pytestmark = pytest.mark.skipif(bool(reason_to_skip()), reason=str(reason_to_skip()))


class Contents(HTMLParser):
    """Links, anchors, pictures and all that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.loads: list[str] = []
        self.alts: dict[str, str | None] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.anchors.add(given["id"])
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "link" and {"stylesheet", "icon", "preload"} & set(given["rel"].split()):
            self.loads.append(given["href"])
        if given.get("src"):
            self.loads.append(given["src"])
        if tag == "img":
            self.alts[given["src"]] = given.get("alt")


@cache
def contents(page: Path) -> Contents:
    parser = Contents()
    parser.feed(page.read_text("utf-8"))
    return parser


def pages() -> list[Path]:
    return sorted(HTML.rglob("*.html"))


def target(page: Path, link: str) -> Path:
    path = unquote(urlsplit(link).path)
    return (page.parent / path).resolve() if path else page


each_page = pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(HTML)))


@each_page
def test_no_link_is_broken(page: Path) -> None:
    inside = [link for link in contents(page).links if not urlsplit(link).scheme]
    missing = [link for link in inside if not target(page, link).is_file()]
    assert missing == []
    for link in inside:
        anchor = unquote(urlsplit(link).fragment)
        if anchor and target(page, link).suffix == ".html":
            assert anchor in contents(target(page, link)).anchors, link


@each_page
def test_every_figure_says_in_words_what_it_shows(page: Path) -> None:
    mute = [src for src, alt in contents(page).alts.items() if len(alt or "") < 20]
    assert mute == []
    names = [src for src, alt in contents(page).alts.items() if Path(src).name in (alt or "")]
    assert names == [], "a file's name says nothing"


@each_page
def test_nothing_is_loaded_from_elsewhere_and_all_is_there(page: Path) -> None:
    loads = [load for load in contents(page).loads if not load.startswith("data:")]
    assert [load for load in loads if urlsplit(load).scheme or urlsplit(load).netloc] == []
    assert [load for load in loads if not target(page, load).is_file()] == []
    assert list(elsewhere_in_styles(page, loads)) == []


def elsewhere_in_styles(page: Path, loads: list[str]) -> Iterator[str]:
    """Addresses of other hosts that a stylesheet loads."""
    for load in loads:
        if target(page, load).suffix == ".css":
            text = target(page, load).read_text("utf-8")
            yield from re.findall(r"""(?:url\(|@import)\s*["']?(?:https?:)?//[^)"';]*""", text)


@each_page
def test_no_page_weighs_more_than_five_megabytes(page: Path) -> None:
    loads = {target(page, load) for load in contents(page).loads if not load.startswith("data:")}
    assert page.stat().st_size + sum(path.stat().st_size for path in loads) <= MOST_BYTES


def test_every_notebook_and_page_is_there() -> None:
    notebooks = {path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")}
    assert notebooks == {path.stem for path in (HTML / "notebooks").glob("*.html")}
    written = {path.stem for path in (ROOT / "docs").glob("*.md")} | {"claims", "gallery"}
    assert written <= {path.stem for path in HTML.glob("*.html")}


def test_every_module_is_described() -> None:
    text = "".join(path.read_text("utf-8") for path in (HTML / "api").glob("*.html"))
    paths = (ROOT / "paper_code").rglob("[a-z]*.py")
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    modules = [name for name in modules if ".plots." not in name]
    missing = [name for name in modules if f'id="module-{name}"' not in text]
    assert missing == []


def test_notebooks_show_their_figures_and_tables() -> None:
    page = HTML / "notebooks" / "07_ridge.html"
    assert len(contents(page).alts) >= 2
    assert "62374 ± 3 %" in page.read_text("utf-8")
