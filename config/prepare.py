"""`python -m config.prepare`: everything that must be done before the site can be served.

Brings the database and the static files up to date, fills an empty installation with demo
data unless DEMO=0, and makes sure that someone can sign in.  Doing it again changes nothing.
"""

import os
import sys

import django
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from chat.services.sandbox_state import check_at_start
from config.address import AddressUnavailable, check_free, configured_address
from config.env import env_bool


def prepare() -> None:
    check_free(*configured_address())  # first: the rest may take a minute
    demo = env_bool("DEMO", True)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    if settings.MEDIA_SANDBOX == "require":  # neither server would start
        check_at_start(settings.MEDIA_SANDBOX)
    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    if demo and not get_user_model().objects.exists():
        call_command("seed_demo")
    call_command("ensure_admin")


def main() -> int:
    try:
        prepare()
    except (AddressUnavailable, ImproperlyConfigured) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped before it was ready; `make run` goes on from here.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
