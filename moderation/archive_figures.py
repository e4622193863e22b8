"""Where the overview's figures are kept between two counts."""

from datetime import timedelta

from django.db import models
from django.utils import timezone


class ArchiveFigures(models.Model):
    """The last count of the whole archive: one row, replaced as a whole."""

    # A count takes at most this part of one processor, and none follows sooner than a minute.
    PART_OF_TIME = 1 / 20
    SOONEST = timedelta(minutes=1)

    counted_at = models.DateTimeField()
    took_seconds = models.FloatField()
    figures = models.JSONField(help_text="see moderation.figures.Figures")

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_archive")]

    def __str__(self) -> str:
        return f"figures of {self.counted_at:%Y-%m-%d %H:%M}"

    @property
    def is_due(self) -> bool:
        pause = timedelta(seconds=self.took_seconds / self.PART_OF_TIME)
        return timezone.now() >= self.counted_at + max(self.SOONEST, pause)
