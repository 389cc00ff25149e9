"""The residual rules, one family a file; a YAML file registers each of them."""
