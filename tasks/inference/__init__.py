"""Trained runs in use: verbs such as `predict`, and answers in Python."""
