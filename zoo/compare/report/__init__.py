"""The record as a page, as Markdown, tables, figures and in W&B."""
