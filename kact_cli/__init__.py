"""kact: Keras activations applied to tensors in files, from the shell."""

__version__ = "0.1.0"
