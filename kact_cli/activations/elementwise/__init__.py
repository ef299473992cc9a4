"""Activations of each value by itself; a module is a group of `kact list`, in this order."""

# ruff: noqa: I001
from kact_cli.activations.elementwise import rectifiers as rectifiers
from kact_cli.activations.elementwise import exponential_units as exponential_units
from kact_cli.activations.elementwise import gates as gates
from kact_cli.activations.elementwise import sigmoids as sigmoids
from kact_cli.activations.elementwise import smooth_rectifiers as smooth_rectifiers
from kact_cli.activations.elementwise import shrinkage as shrinkage
from kact_cli.activations.elementwise import plain as plain
