"""The models, one domain a file, made of streams, branches and connections."""
