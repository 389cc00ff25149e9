"""Worker processes of a comparison."""
