"""Sphinx settings of the site. `make site` builds it; nothing in it comes from another host."""

import re
from typing import Any

project = "Optimal gradient compression"
author = "The paper_code authors"
copyright = "the paper_code authors, MIT licence"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax"]
exclude_patterns = ["_static"]

myst_enable_extensions = ["dollarmath", "colon_fence", "attrs_block", "attrs_inline"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the notebooks come executed
nb_render_markdown_format = "myst"  # the tables of claims
nb_merge_streams = True
nb_ipywidgets_js = {}  # they would be asked of another host

mathjax_path = "mathjax/tex-svg.js"
# The defaults of Sphinx belong to another release of MathJax.
mathjax3_config = {"options": {"enableMenu": False}}

autodoc_mock_imports = ["flwr"]  # not in the lock
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False

html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_show_sourcelink = False
html_copy_source = False
html_domain_indices = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#005a8c", "color-brand-content": "#005a8c"},
    "dark_css_variables": {"color-brand-primary": "#7cc4f0", "color-brand-content": "#7cc4f0"},
}


ARRAY_LIKE = re.compile(r"[~\w.]*_Buffer \| .*?_NestedSequence\[complex \| bytes \| str\]")
ARRAY = re.compile(r"[~\w.]*ndarray\[tuple\[[~\w.]*Any, \.\.\.\], [~\w.]*dtype\[([~\w.]+)\]\]")


def shorten_types(signature: str | None) -> str | None:
    """Write NumPy's types as the source does, not as what they stand for."""
    return signature and ARRAY.sub(r"NDArray[\1]", ARRAY_LIKE.sub("ArrayLike", signature))


def escape_formulas(docstring: list[str]) -> None:
    """Our docstrings are plain text: let `||x||`, `x_i` and `2**d` be no markup, but ``code`` be.

    Sphinx wants the list changed in place.
    """
    paragraphs = "\n".join(docstring).split("\n\n")
    for i, paragraph in enumerate(paragraphs):
        if not paragraph.lstrip().startswith(">>>"):
            parts = re.split(r"`{1,2}([^`]+)`{1,2}", paragraph)
            parts[::2] = [re.sub(r"([\\*|_`])", r"\\\1", part) for part in parts[::2]]
            parts[1::2] = [f"``{part}``" for part in parts[1::2]]
            paragraphs[i] = "".join(parts)
    docstring[:] = "\n\n".join(paragraphs).split("\n")


def setup(app: Any) -> None:
    """Called by Sphinx. The fields of a named tuple are in its signature already."""
    app.connect("autodoc-process-docstring", lambda *event: escape_formulas(event[-1]))
    app.connect("autodoc-process-signature", lambda *event: tuple(map(shorten_types, event[-2:])))
    app.connect(
        "autodoc-skip-member", lambda *event: type(event[3]).__name__ == "_tuplegetter" or None
    )
