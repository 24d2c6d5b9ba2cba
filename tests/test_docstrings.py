"""Worked numbers in docstrings are what the code gives."""

import doctest
import importlib
import pkgutil

import pytest

import kokeilu_analysis

FINDER = doctest.DocTestFinder(exclude_empty=True)
MODULES = [
    module.name
    for module in pkgutil.walk_packages(kokeilu_analysis.__path__, "kokeilu_analysis.")
    if not module.ispkg
]


@pytest.mark.parametrize("name", MODULES)
def test_worked_numbers_are_what_the_code_gives(name):
    module = importlib.import_module(name)
    for example in FINDER.find(module):
        assert not doctest.DocTestRunner(verbose=False).run(example).failed, example.name
