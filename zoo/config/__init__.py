"""The registry of YAML files, and the configuration that words and files make."""
