"""Accounts made by commands: the administrator, and the people of the demo."""

import secrets
from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction

from chat.models import ActivityLog
from chat.services import activity
from chat.services.activity import Actor
from config.env import env_str


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What is told once; a password that was chosen by who started us is not repeated."""

    username: str
    password: str


def readable_password() -> str:
    """Easy to type, 16 characters of 31: 79 bits."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))


def ensure_admin() -> NewAccount | None:
    """Make the administrator unless there is one; None when nothing was made.

    ADMIN_USERNAME (``admin``) and ADMIN_PASSWORD (generated) are read from the environment.
    An account that exists is never changed.
    """
    users = get_user_model().objects
    name = env_str("ADMIN_USERNAME", "admin") or "admin"
    chosen = env_str("ADMIN_PASSWORD")
    with transaction.atomic():
        if users.filter(is_superuser=True, is_active=True).exists():
            return None
        if users.filter(username=name).exists():
            name = f"{name}-{secrets.token_hex(3)}"
        password = chosen or readable_password()
        admin = users.create_superuser(name, password=password)
        admin.groups.add(*Group.objects.filter(name="admin"))
        activity.record(ActivityLog.Action.USER_CREATED, Actor(command="ensure_admin"), admin)
    return NewAccount(name, "as ADMIN_PASSWORD says" if chosen else password)
