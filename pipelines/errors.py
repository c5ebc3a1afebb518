"""The one exception that stands for a user's mistake: its text is all that the user is shown."""


class UserError(Exception):
    """Something the user can put right: a file, a column, an override.

    The message says what is wrong, where (file, column, row, field) and what to do. Entry points
    print it without a traceback and exit with code 2.
    """


def unwritable(setting: str, folder: object, error: OSError) -> UserError:
    """What to say of a folder that a setting names, and in which nothing can be written."""
    return UserError(f"{setting}={folder} cannot be written: {error}. Choose another folder.")
