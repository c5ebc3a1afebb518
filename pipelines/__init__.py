"""From a table to a registered model; each package is one room, and imports go downwards only.

`sweep.py` tells the whole story. The rooms, from the top: `sweeps` (trials to stacks), `engines`
(where stacks run), `selection` (which members win), `export` (the bundle), `training`, `models`,
`stack` and `optim` (batched networks and their optimizers), `data`, `tasks`, `tracking`, `config`.
"""
