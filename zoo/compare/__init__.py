"""Comparison of arms over a matrix of runs, with statistics that hold."""
