"""What all tasks share: the Lightning module, the run and its callbacks."""
