"""Build the site into build/site/html: `python docs/build.py`, after `make reproduce`.

Its sources are put together in build/site/source: the pages of this folder, the executed notebooks,
and pages made of the claims, the figures and the docstrings. Needs no network; a warning is an
error.
"""

import shutil
import sys

from pages import DOCS, api_pages, claims_page, copy_notebooks, gallery_page, prepare

from paper_code.companion import files

BUILD = files.ROOT / "build" / "site"


def main() -> int:
    """0 if the site was built; a reason on the screen if not."""
    from sphinx.cmd.build import build_main

    shutil.rmtree(BUILD, ignore_errors=True)  # pages of another day would stay
    source = BUILD / "source"
    try:
        prepare(source)
        copy_notebooks(files.ROOT / "build" / "notebooks", source / "notebooks")
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    claims_page(source / "claims.md")
    gallery_page(source / "gallery.md")
    api_pages(source / "api")
    arguments = ["-q", "-W", "--keep-going", "-b", "html", "-c", str(DOCS)]
    arguments += ["-d", str(BUILD / "doctrees")]
    failed = build_main([*arguments, str(source), str(BUILD / "html")])
    if not failed:
        files.atomic_write(BUILD / "built", "")  # how old the site is
        print(f"The site is in {BUILD / 'html' / 'index.html'}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
