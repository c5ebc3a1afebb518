"""`make bench-serving`: what an answer costs, beside a no-op and beside other servers of the same model, in one run."""
