"""Backward passes that compute activations again, so that memory need not hold them."""
