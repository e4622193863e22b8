"""Codes for who has lost the device of his second factor."""

from django.conf import settings
from django.db import models


class RecoveryCode(models.Model):
    """One of a set that was shown once; each is good for one sign-in.

    Of 79 random bits, so a plain hash keeps them as well as a slow one would.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    sha256 = models.CharField(max_length=64, help_text="hex, of the code without dashes")
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "sha256"], name="recovery_code_once")
        ]

    def __str__(self) -> str:
        return f"recovery code {self.pk} of {self.user}"
