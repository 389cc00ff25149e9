"""How probes follow the forward and backward pass of any net, and leave it as it was."""
