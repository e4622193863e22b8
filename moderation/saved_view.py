"""Views of the list of videos that somebody saved: filters, order, columns and all."""

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone

MOST = 50  # of one person
# What in an address is not part of a view: where in the list one is, and which view it was.
PASSING = ("page", "after", "before", "saved")
# Who may show a view to everybody; who may also change those of others.
SHARE = ("moderation.decide", "moderation.run_jobs")
KEEP_ORDER = "moderation.manage_roles"

Person = AbstractBaseUser | AnonymousUser


class SavedViewQuerySet(models.QuerySet["SavedView"]):
    def visible_to(self, user: Person) -> "SavedViewQuerySet":
        """One's own, and what is shared."""
        return self.filter(Q(owner_id=user.pk) | Q(is_shared=True))


class SavedView(models.Model):
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    name = models.CharField(max_length=60)
    query = models.TextField(blank=True, help_text="of the list's address; see view_query")
    is_shared = models.BooleanField(default=False, help_text="everybody has it among their tabs")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="saved_view_once_per_name")
        ]
        indexes = [models.Index(fields=["is_shared"], name="saved_view_shared")]

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> str:
        """A query string that also says which view it is."""
        return "?" + "&".join(filter(None, [self.query, f"saved={self.pk}"]))

    def may_be_changed_by(self, user: Person) -> bool:
        owned = self.owner_id == user.pk
        return owned or (self.is_shared and user.has_perm(KEEP_ORDER))  # type: ignore[union-attr]


def view_query(query: QueryDict) -> str:
    """What of an address makes a view, in one order, whatever the address's is."""
    kept = sorted(
        (name, value)
        for name, values in query.lists()
        for value in values
        if name not in PASSING and value.strip()
    )
    saved = QueryDict(mutable=True)
    for name, value in kept:
        saved.appendlist(name, value)
    return saved.urlencode()


def may_share(user: Person) -> bool:
    return any(user.has_perm(permission) for permission in SHARE)  # type: ignore[union-attr]
