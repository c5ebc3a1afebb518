"""`make bench-data`: a million rows read, divided and encoded, beside polars' bare read of the same file."""
