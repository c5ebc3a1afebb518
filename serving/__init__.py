"""From a registered model to answers: over HTTP, by `python -m serving`, and for whole files."""

from serving.startup_interrupt import end_quietly_on_interrupt

end_quietly_on_interrupt()
