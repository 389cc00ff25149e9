"""The loss around the weights of a net: slices, sharpness, curvature."""
