"""How Sphinx builds these pages; `make docs` runs it.

It fetches nothing while it builds: theme, search and pictures are all local, so the pages can be
read from the folder without a web server.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

project = "Understudy"
author = "The authors of Understudy"
release = version = metadata.version("understudy")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
root_doc = "index"
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
python_maximum_signature_line_length = 80
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"Understudy {release}"
html_copy_source = False
html_show_sphinx = False
html_last_updated_fmt = None
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}

# Consoles and plain text are shown as they are.
highlight_language = "text"


def _keep_sentence(
    app: Any, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Napoleon takes what stands before a colon in the first line of an attribute's docstring
    for its type. Ours begin with a sentence; an empty first line keeps it whole."""
    if what in ("attribute", "data", "property"):
        lines.insert(0, "")


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", _keep_sentence, priority=400)
