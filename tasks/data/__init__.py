"""Data sources. A source is built from its options and gives checked tensors by `load()`."""
