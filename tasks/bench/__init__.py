"""The speed and memory of this project, beside a bare loop and beside others."""
