"""What becomes of a gradient on its way through depth, in nets with and without skips."""
