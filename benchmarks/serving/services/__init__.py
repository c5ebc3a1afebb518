"""What a user of each peer writes: nothing here imports ours, since it runs in an environment of the peers' own."""
