"""Conversations, who takes part in them, and messages."""

from typing import Any, Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.db.models import Exists, OuterRef
from django.utils import timezone

Visitor = AbstractBaseUser | AnonymousUser


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def visible_to(self, user: Visitor) -> Self:
        """Conversations in which ``user`` takes part now."""
        return self.filter(Exists(Participant.objects.current().of(user, OuterRef("pk"))))


class Conversation(models.Model):
    title = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    participants = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="Participant", related_name="conversations"
    )

    objects = ConversationQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.title or f"Conversation {self.pk}"


class ParticipantQuerySet(models.QuerySet["Participant"]):
    def current(self) -> Self:
        return self.filter(left_at=None)

    def of(self, user: Visitor, conversation: Any) -> Self:
        """Rows of ``user`` (nobody when anonymous) in ``conversation`` (an id or expression)."""
        return self.filter(user_id=user.pk, conversation_id=conversation)


class Participant(models.Model):
    class Role(models.TextChoices):
        OWNER = "owner", "owner"
        MEMBER = "member", "member"

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="participations")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    role = models.CharField(max_length=10, choices=Role, default=Role.MEMBER)
    joined_at = models.DateTimeField(default=timezone.now, editable=False)
    left_at = models.DateTimeField(null=True, blank=True)
    # Not a reference: it stays where it is when that message is gone.
    last_read_message = models.PositiveBigIntegerField(
        default=0, help_text="id of the newest message read; 0 for none"
    )

    objects = ParticipantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["conversation", "user"], name="participant_once_per_conversation"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.conversation}"


class MessageQuerySet(models.QuerySet["Message"]):
    def visible_to(self, user: Visitor) -> Self:
        return self.filter(
            Exists(Participant.objects.current().of(user, OuterRef("conversation_id"))),
            deleted_at=None,
        )


class Message(models.Model):
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="messages")
    sender = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    content = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    edited_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["conversation", "-id"], name="message_of_conversation")]

    def __str__(self) -> str:
        return f"Message {self.pk}"
