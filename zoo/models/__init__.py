"""Models, one domain a file: streams, branches and connections without training code."""
