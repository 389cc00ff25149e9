"""Backward passes that spend time instead of memory."""
