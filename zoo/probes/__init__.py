"""What a stream does, as plain functions of a net, and the figures that show it."""
