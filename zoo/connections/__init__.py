"""Every residual rule, one family a file. A rule is registered by its YAML file."""
