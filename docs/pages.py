"""The pages of the site that are made: notebooks, claims, gallery, the library by module."""

import base64
import inspect
import io
import pkgutil
import re
import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from PIL import Image

import paper_code
from paper_code.companion import claim_table, files

DOCS = files.ROOT / "docs"
WIDGET = "application/vnd.jupyter.widget-view+json"

ROOMS = {
    "compressors": "Compressors",
    "messages": "Messages",
    "bounds": "Bounds",
    "evaluation": "Measuring",
    "descent": "Optimisation",
    "distributed": "PyTorch and Flower",
    "companion": "Companion",
    "coding": "Inside: coding",
    "numerics": "Inside: numerics",
}
"""The rooms of paper_code with the titles of their pages, what users look for first."""


def prepare(source: Path) -> None:
    """Put this folder's pages and the figures where Sphinx looks for them."""
    shutil.copytree(DOCS, source, ignore=shutil.ignore_patterns("*.py", "__pycache__", "_static"))
    shutil.copytree(files.ROOT / "figures", source / "figures")
    for page in source.glob("*.md"):  # in the repository both folders are one up
        text = re.sub(r"\]\(\.\./(figures|notebooks)/", r"](\1/", page.read_text("utf-8"))
        page.write_text(text, "utf-8")


def copy_notebooks(executed: Path, target: Path) -> None:
    """Copy the executed notebooks, with words for their figures. Raises FileNotFoundError."""
    target.mkdir(parents=True)
    for path in sorted((files.ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        if not (executed / path.name).exists():
            raise FileNotFoundError(f"{path.name} was not run yet: make reproduce")
        notebook = nbformat.read(executed / path.name, as_version=4)
        notebook.metadata.pop("widgets", None)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                _for_readers(cell)
            else:  # a formula on its own line is a paragraph of its own to Sphinx
                cell.source = re.sub(r"^\$\$.+\$\$$", r"\n\g<0>\n", cell.source, flags=re.M)
        nbformat.write(notebook, target / path.name)


def _for_readers(cell: NotebookNode) -> None:
    """No widgets, which need a kernel; what a figure shows in words; links from where we stand."""
    cell.outputs = [
        output
        for output in cell.outputs
        if WIDGET not in output.get("data", {}) or "image/png" in output.data
    ]
    for output in cell.outputs:
        data = output.get("data", {})
        data.pop(WIDGET, None)
        if "image/png" in data:
            alt = description(base64.b64decode(data["image/png"]))
            cell.metadata["mystnb"] = {"image": {"alt": alt}}


def description(png: bytes) -> str:
    """What `figures.write` wrote into a PNG for those who cannot see it."""
    with Image.open(io.BytesIO(png)) as image:
        return image.info.get("Description", "")


def claims_page(path: Path) -> None:
    """The table of claims, each with a link to the notebook that recomputes it."""
    path.write_text(claim_table.page(claim_table.check(), "notebooks/"), "utf-8")


def gallery_page(path: Path) -> None:
    """The first figure of each notebook, with a link to it; those of the benchmarks last."""
    lines = ["# Gallery", "", "One figure of each notebook, which draws the others too.", ""]
    for notebook in sorted((files.ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        lines += [f"## {title(notebook)}", "", f"[Notebook](notebooks/{notebook.name})", ""]
        lines += _pictures(f"{notebook.stem}*.png")[:2]  # a picture and an empty line
    if speed := _pictures("bench_*.png"):
        lines += ["## Speed", "", "`make bench` draws these anew on your machine.", "", *speed]
    path.write_text("\n".join(lines), "utf-8")


def _pictures(pattern: str) -> list[str]:
    """Figures as Markdown, in what is seen and in words; not the one of add_your_own.md."""
    lines = []
    for png in sorted((files.ROOT / "figures").glob(pattern)):
        if not png.stem.endswith("_yours"):
            alt = description(png.read_bytes()).replace("[", "(").replace("]", ")")
            lighter = min(png, png.with_suffix(".svg"), key=lambda file: file.stat().st_size)
            lines += [f"![{alt}](figures/{lighter.name})", ""]
    return lines


def title(notebook: Path) -> str:
    """The first heading of a notebook."""
    first = nbformat.read(notebook, as_version=4).cells[0].source
    return first.partition("\n")[0].removeprefix("# ")


def api_pages(folder: Path) -> None:
    """An index of the public names with their first sentences, and a page for every room."""
    folder.mkdir()
    for room, heading in ROOMS.items():
        package = f"paper_code.{room}"
        walk = pkgutil.walk_packages([str(files.ROOT / "paper_code" / room)], f"{package}.")
        modules = [package, *sorted(part.name for part in walk)]
        text = "\n".join([f"# {heading}", "", *map(_module, modules)])
        (folder / f"{room}.md").write_text(text, "utf-8")
    index = ["# The library", "", (DOCS / "api.txt").read_text("utf-8"), *_public_names()]
    toctree = ["```{toctree}", ":hidden:", "", *ROOMS, "```", ""]
    (folder / "index.md").write_text("\n".join([*index, *toctree]), "utf-8")


def _public_names() -> list[str]:
    """A table of the names of `paper_code` itself, with the first line of each docstring."""
    rows = ["| name | what it is |", "|---|---|"]
    for name in sorted(set(paper_code.__all__) - {"__version__"}, key=str.lower):
        thing = getattr(paper_code, name)
        sentence = (inspect.getdoc(thing) or "").partition("\n")[0].replace("|", "\\|")
        rows.append(f"| {{py:obj}}`{name} <{thing.__module__}.{name}>` | {sentence} |")
    return [*rows, ""]


def _module(name: str) -> str:
    return f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```\n"
