"""`make bench-sweep`: what a trial costs in a stack, beside what it costs elsewhere, in one run."""
