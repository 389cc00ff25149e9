"""Texts as numbered symbols."""
