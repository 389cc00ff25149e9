"""Images with class labels."""
