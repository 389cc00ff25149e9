"""From finished runs to a record with verdicts."""
