"""Who may do what: giving and taking roles, letting accounts in or not, and how much they store.

Roles are groups, made by a migration; what counts is the permissions behind them.  Nobody locks
himself out, so whoever may manage roles now still may afterwards, and the last one stays.
"""

from collections.abc import Iterable

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.db.models import Q, QuerySet

from chat.models import ActivityLog
from chat.services import activity, quotas, second_factor
from chat.services.activity import Actor

# Role → what it lets one do, in the order of the page.
ROLES = {
    "viewer": "sees the dashboard: videos, reports, activity, jobs",
    "moderator": "sees it, and decides on videos: quarantine, restore, remove",
    "operator": "sees it, and starts and steers jobs",
    "admin": "all of that, and gives roles",
}
MANAGE = "manage_roles"


class NotAllowedError(Exception):
    """The change would break a rule; the message is for the page."""


def admins() -> QuerySet[User]:
    """Active accounts that may manage roles, in whatever way."""
    right = Permission.objects.filter(codename=MANAGE, content_type__app_label="moderation")
    groups = Group.objects.filter(permissions__in=right)
    may = Q(is_superuser=True) | Q(groups__in=groups) | Q(user_permissions__in=right)
    return User.objects.filter(may, is_active=True).distinct()


def set_roles(person_id: int, roles: Iterable[str], actor: Actor) -> bool:
    """Give the person exactly these of ``ROLES``; whether that changed anything.

    Raises ``NotAllowedError``; KeyError for what is no role.
    """
    wanted = {role for role in roles if ROLES[role]}
    with transaction.atomic():
        person = locked(person_id, actor)
        held = set(person.groups.filter(name__in=ROLES).values_list("name", flat=True))
        given, taken = wanted - held, held - wanted
        if not given and not taken:
            return False
        person.groups.add(*Group.objects.filter(name__in=given))
        person.groups.remove(*Group.objects.filter(name__in=taken))
        if person == actor.user and not admins().filter(pk=person.pk).exists():
            raise NotAllowedError(
                "You would lock yourself out of this page. Another admin can take the role from"
                " you."
            )
        details = {"given": sorted(given), "taken": sorted(taken)}
        activity.record(ActivityLog.Action.ROLES_CHANGED, actor, person, details=details)
    return True


def set_active(person_id: int, *, active: bool, actor: Actor) -> bool:
    """Let an account in again, or no longer: its sessions and tokens end with the next request.

    Whether that changed anything.  Raises ``NotAllowedError``.
    """
    with transaction.atomic():
        person = locked(person_id, actor)
        if person.is_active == active:
            return False
        if person == actor.user:
            raise NotAllowedError("You cannot deactivate yourself. Another admin can.")
        person.is_active = active
        person.save(update_fields=["is_active"])
        action = ActivityLog.Action
        activity.record(
            action.ACCOUNT_ACTIVATED if active else action.ACCOUNT_DEACTIVATED, actor, person
        )
    return True


def reset_second_factor(person_id: int, actor: Actor) -> bool:
    """The next sign-in takes the password alone; whether there was a second factor.

    Raises ``NotAllowedError``.
    """
    with transaction.atomic():
        person = locked(person_id, actor)
        if person == actor.user:
            raise NotAllowedError("Your own is switched off under “Second factor”, with a code.")
        return second_factor.remove(person, actor)


def set_quota(person_id: int, quota_bytes: int | None, actor: Actor) -> bool:
    """Give the person a quota of their own, or (None) everybody's; whether that changed anything.

    Raises ``NotAllowedError``.
    """
    with transaction.atomic():
        return quotas.set_quota(locked(person_id, actor), quota_bytes, actor)


def locked(person_id: int, actor: Actor) -> User:
    """The person, once no other change of roles is under way; the actor still has the right.

    Of two admins that take each other's role at once, the second finds that he is none any more.
    """
    list(Group.objects.select_for_update().filter(name__in=ROLES).order_by("pk"))
    if not admins().filter(pk=_id(actor)).exists():
        raise NotAllowedError("You may no longer manage roles: somebody took the right from you.")
    person = User.objects.get(pk=person_id)
    superusers = User.objects.filter(is_superuser=True)
    if person.is_superuser and not superusers.filter(pk=_id(actor)).exists():
        raise NotAllowedError(f"{person} is a superuser: only another superuser may change that.")
    return person


def _id(actor: Actor) -> int:
    return actor.user.pk if actor.user else 0
