"""What lets runs survive kills, damaged files, hangs and numbers that are not finite."""
