"""Hydra's way into sweepstack: a launcher that runs a whole sweep as stacks, and the grid that feeds it.

Hydra imports every module here at every start, so torch, Lightning and MLflow are imported only inside `launch`.
"""
