"""What runs the jobs of a comparison: this machine, or a cluster by its own scheduler."""
