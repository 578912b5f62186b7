"""The pages of the site that are made: notebooks, claims, gallery, the library by module."""

import base64
import io
import pkgutil
import re
import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from PIL import Image

import paper_code
from paper_code.companion import claims, files

DOCS = files.ROOT / "docs"
WIDGET = "application/vnd.jupyter.widget-view+json"

API = {
    "Compressors": "compressors.contract compressors.sparse_dithering "
    "compressors.spherical.compression compressors.entropy_coded_sparse_dithering "
    "compressors.subtractive_dithering compressors.trellis.compression "
    "compressors.best_compressor compressors.known",
    "Messages": "messages.message distributed.frame_stream coding.bits coding.codes",
    "Bounds": "bounds",
    "Measuring": "evaluation.measure evaluation.rate_distortion evaluation.sample_vectors",
    "Optimisation": "descent.problems descent.one_worker descent.many_workers "
    "descent.split_problem distributed.error_feedback",
    "PyTorch": "distributed.ddp distributed.compressed_mean distributed.collectives "
    "distributed.vectors",
    "Flower": "distributed.flower distributed.flattening",
    "Companion": "companion.claims companion.data_sets companion.download companion.figures "
    "companion.run_notebooks companion.files",
}
"""Which modules of paper_code a page describes, packages with all they hold; those that
are named by themselves are left out of their room; "Inside" the rest."""

HELD = ("bounds.", "compressors.known.", "companion.plots")
"""Described by the page of their package, or on none."""


def prepare(source: Path) -> None:
    """Put this folder's pages and the figures where Sphinx looks for them."""
    shutil.copytree(DOCS, source, ignore=shutil.ignore_patterns("*.py", "__pycache__", "_static"))
    shutil.copytree(files.ROOT / "figures", source / "figures")
    for page in source.glob("*.md"):  # in the repository figures are a folder up
        page.write_text(page.read_text("utf-8").replace("](../figures/", "](figures/"), "utf-8")


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
        if "text/markdown" in data:
            data["text/markdown"] = data["text/markdown"].replace("](notebooks/", "](")


def description(png: bytes) -> str:
    """What `figures.save` wrote into a PNG for those who cannot see it."""
    with Image.open(io.BytesIO(png)) as image:
        return image.info.get("Description", "")


def claims_page(path: Path) -> None:
    """The table of claims, each with a link to the notebook that recomputes it."""
    intro = (
        "# Claims\n\nWhat the paper says, and what came out here. Each number links to the notebook"
        " that computed it; `make reproduce` renews them all, and fails if a claim does.\n\n"
    )
    path.write_text(intro + claims.markdown(claims.check()), "utf-8")


def gallery_page(path: Path) -> None:
    """Every figure, with a link to its notebook; those of the benchmarks last, where there are."""
    lines = ["# Gallery", "", "Every figure, with the notebook that draws it.", ""]
    for notebook in sorted((files.ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        lines += [f"## {title(notebook)}", "", f"[Notebook](notebooks/{notebook.name})", ""]
        lines += _pictures(f"{notebook.stem}*.png")
    if speed := _pictures("bench_*.png"):
        lines += ["## Speed", "", "`make bench` draws these anew on your machine.", "", *speed]
    path.write_text("\n".join(lines), "utf-8")


def _pictures(pattern: str) -> list[str]:
    """Figures as Markdown, in what is seen and in words; not the one of add_your_own.md."""
    lines = []
    for png in sorted((files.ROOT / "figures").glob(pattern)):
        if not png.stem.endswith("_yours"):
            alt = description(png.read_bytes()).replace("[", "(").replace("]", ")")
            lines += [f"![{alt}](figures/{png.stem}.svg)", ""]
    return lines


def title(notebook: Path) -> str:
    """The first heading of a notebook."""
    first = nbformat.read(notebook, as_version=4).cells[0].source
    return first.partition("\n")[0].removeprefix("# ")


def api_pages(folder: Path) -> None:
    """A page for every group of `API`, and an index."""
    folder.mkdir()
    groups = {name: modules.split() for name, modules in API.items()}
    named = {module for modules in groups.values() for module in modules}
    walk = pkgutil.walk_packages(paper_code.__path__, f"{paper_code.__name__}.")
    there = {part.name.partition(".")[2] for part in walk if not part.ispkg}
    there |= {"compressors.known", "bounds"}
    if missing := named - there:
        raise ValueError(f"paper_code has no module {sorted(missing)}")
    inside = [name for name in there - named if not name.startswith(HELD)]
    groups["Inside"] = sorted(inside)
    for name, modules in groups.items():
        text = [f"# {name}", ""]
        for module in modules:
            text += [_module(each) for each in _with_parts(f"paper_code.{module}")]
        (folder / f"{name.lower()}.md").write_text("\n".join(text), "utf-8")
    index = "# The library\n\n" + (DOCS / "api.txt").read_text("utf-8")
    pages = "\n".join(name.lower() for name in groups)
    (folder / "index.md").write_text(f"{index}\n```{{toctree}}\n{pages}\n```\n", "utf-8")


def _with_parts(module: str) -> list[str]:
    """A module, or a package with its modules."""
    folder = files.ROOT / module.replace(".", "/")
    parts = [f"{module}.{part.name}" for part in pkgutil.iter_modules([str(folder)])]
    return [module, *parts] if folder.is_dir() else [module]


def _module(name: str) -> str:
    return f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```\n"
