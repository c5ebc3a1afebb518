"""A file of a user's that cannot be imported."""

raise RuntimeError("no weights here")
