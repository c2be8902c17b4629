"""Settings of Sphinx; `make docs` builds."""

import torch_qconv_prepack

project = "torch_qconv_prepack"
author = "the torch_qconv_prepack authors"
copyright = author
release = torch_qconv_prepack.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "README.md"]

# Headings can be linked to, as in architecture.md#layers.
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"

html_theme = "alabaster"
html_theme_options = {
    "description": "Int8 convolution for PyTorch on CPUs",
    "page_width": "1100px",
}
