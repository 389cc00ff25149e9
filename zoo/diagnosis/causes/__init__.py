"""The known causes, each a function that looks for it in what was seen of a net."""
