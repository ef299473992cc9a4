"""Activations of groups of values along an axis."""

# ruff: noqa: I001
from kact_cli.activations.along_axis import softmax as softmax
from kact_cli.activations.along_axis import log_softmax as log_softmax
from kact_cli.activations.along_axis import sparsemax as sparsemax
