"""Undoing: for a while, all that was decided together, unless somebody decided since."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from chat.models import Attachment, Conversation
from chat.services.activity import Actor
from moderation import undoing
from moderation.models import Decision
from tests.moderation.deciding import QUARANTINE, REMOVE, SHA, decide, log, state
from tests.moderation.pages import video

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]


def test_all_is_as_it_was(
    clip: Attachment, conversation: Conversation, anna: Actor, bert: Actor
) -> None:
    decide(clip, QUARANTINE, anna)
    before = state(clip)
    copy = video(conversation, sha256=SHA)
    removal = decide(clip, REMOVE, bert, copies={copy.pk: 0})
    assert clip.removed_at

    outcome = undoing.undo(removal.batch, anna)

    assert len(outcome.decided) == 2
    assert state(clip) == before
    assert state(copy)["visibility"] == "visible"
    assert clip.decision_version == 3
    removal.refresh_from_db()
    assert removal.undone_at
    assert removal.undone_by.decided_by_name == "moderator"
    assert log()[-2:] == ["decision_undone"] * 2
    again = undoing.undo(removal.batch, anna)
    assert (again.decided, sorted(again.unchanged)) == ([], [clip.pk, copy.pk])


def test_what_was_decided_on_since_is_left(
    clip: Attachment, conversation: Conversation, anna: Actor, bert: Actor
) -> None:
    copy = video(conversation, sha256=SHA)
    decision = decide(clip, QUARANTINE, anna, copies={copy.pk: 0})
    decide(clip, REMOVE, bert)

    outcome = undoing.undo(decision.batch, anna)

    assert list(outcome.overtaken) == [clip.pk]
    assert state(clip)["visibility"] == "removed"
    assert state(copy)["visibility"] == "visible"


def test_only_for_a_while(clip: Attachment, anna: Actor, settings: Any) -> None:
    decision = decide(clip, QUARANTINE, anna)
    past = timezone.now() - timedelta(minutes=settings.DECISION_UNDO_MINUTES, seconds=1)
    Decision.objects.update(created_at=past)

    assert undoing.undo(decision.batch, anna).unchanged == [clip.pk]
    assert state(clip)["visibility"] == "quarantined"
