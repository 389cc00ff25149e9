"""Training: Lightning modules, data, callbacks. Reached by name from the command line."""
