"""Trained nets as files of other programs, each one checked against the net."""
