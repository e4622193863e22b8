"""What a person may do, asked once: Django's own backend asks for a person's permissions and for
those of their groups apart."""

from django.contrib.auth.models import AbstractUser, Permission
from django.core.exceptions import PermissionDenied
from django.db.models import Q


class PermissionsAtOnce:
    """Answers before Django's backend, which goes on to sign people in.  Superusers, who may do
    everything, are not asked about."""

    def authenticate(self, _request: object, **_credentials: object) -> None:
        """Signs nobody in."""

    def has_perm(self, user: AbstractUser, permission: str, obj: object = None) -> bool:
        """Raises ``PermissionDenied``, so that no other backend is asked, for what one lacks."""
        if obj is None and user.is_active and permission in permissions_of(user):
            return True
        raise PermissionDenied


def permissions_of(user: AbstractUser) -> set[str]:
    """``moderation.decide`` and so on; kept with the user as it was loaded."""
    if not hasattr(user, "permissions_at_once"):
        held = Permission.objects.filter(Q(user=user.pk) | Q(group__user=user.pk)).order_by()
        names = held.values_list("content_type__app_label", "codename")
        user.permissions_at_once = {f"{app}.{codename}" for app, codename in names}  # type: ignore[attr-defined]
    found: set[str] = user.permissions_at_once  # type: ignore[attr-defined]
    return found
