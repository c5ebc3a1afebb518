"""Scoring whole files without a server. The door is `python -m serving.score`."""
