"""Graphs with node labels."""
