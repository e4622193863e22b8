#!/usr/bin/env python
"""Django's command line for OffChat Nexus."""

import os
import signal
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] == ["run_huey"] and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        # Until the consumer takes over, Ctrl-C ends it on the spot: as an exception it could come
        # in a place that swallows it, such as a callback in the middle of an import.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        sys.exit(130)  # Ctrl-C is no error to be traced


if __name__ == "__main__":
    main()
