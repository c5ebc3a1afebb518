"""The same search as whole commands of others: Optuna and Ray Tune, each with Lightning."""
