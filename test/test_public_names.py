"""Every public name is documented and annotated, and the examples there run."""

from __future__ import annotations

import doctest
import inspect
from typing import Any

import pytest

import torch_qconv_prepack as qconv

PUBLIC = [
    (f"{module.__name__}.{name}", getattr(module, name))
    for module in (qconv, qconv.checkpoint)
    for name in module.__all__
    if not name.startswith("__")
]


@pytest.mark.parametrize(("name", "value"), PUBLIC, ids=[name for name, _ in PUBLIC])
def test_public_name_is_documented_and_annotated(name: str, value: Any) -> None:
    assert inspect.getdoc(value), name
    if inspect.isfunction(value):
        signature = inspect.signature(value)
        assert signature.return_annotation is not signature.empty
        for parameter in signature.parameters.values():
            assert parameter.annotation is not parameter.empty, parameter.name


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize(("name", "value"), PUBLIC, ids=[name for name, _ in PUBLIC])
def test_examples_run(name: str, value: Any) -> None:
    if not (inspect.isfunction(value) or inspect.isclass(value)):
        return
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    for example in doctest.DocTestFinder().find(value, name, globs={}):
        assert runner.run(example).failed == 0
