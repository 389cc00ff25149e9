"""What a comparison declares, and the runs that follow from it."""
