"""Runs that go on after kills, damage, hangs and numbers that are lost."""
