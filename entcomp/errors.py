"""Errors that a user can fix."""

from __future__ import annotations


class EntcompError(Exception):
    """A mistake in the input or the call.

    The message is one line that names the file, the utterance where there is one, and the remedy.
    The command line prints it and exits with 1; ``--debug`` shows the traceback as well.
    """
