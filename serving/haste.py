"""What is done at once, on the event loop, where all other connections wait for it; the rest is left to a thread."""

# Such a body, of some 150 rows of 20 columns, is read in a millisecond, and handing it to a thread costs up to as much
# again. But its bytes alone do not say what it asks for: a few may stand for 10,000 rows.
SMALL_BODY_BYTES = 64 * 2**10
SMALL_ROWS = 150


class NoTimeError(Exception):
    """What would have to be done takes longer than may be spent at once."""
