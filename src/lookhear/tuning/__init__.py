"""A recipe's numbers searched by Optuna, on validation items only."""
