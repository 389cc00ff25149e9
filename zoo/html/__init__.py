"""Pages that need nothing else: their look, their scripts, and how texts get into them."""
