"""A residual net seen as something else: boosting, an ODE, multigrid."""
