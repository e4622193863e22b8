"""Copies of the same bytes: decided on together, held when they are sent again."""

import pytest

from chat.models import Attachment, Conversation, HeldContent
from chat.services.activity import Actor
from chat.services.attachments import hold_known_bytes
from moderation import decisions, undoing
from moderation.verdict import Verdict
from tests.moderation.deciding import QUARANTINE, REMOVE, RESTORE, SHA, decide, log, state
from tests.moderation.pages import video

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]


def test_copies_are_decided_on_together(
    clip: Attachment, conversation: Conversation, anna: Actor, bert: Actor
) -> None:
    copy, changed, other = (video(conversation, sha256=SHA) for _ in range(3))
    decide(changed, Verdict("hold"), bert)
    assert {each.pk for each in decisions.copies_of(clip)} == {
        copy.pk, changed.pk, other.pk,
    }  # fmt: skip

    outcome = decisions.decide(clip.pk, 0, QUARANTINE, anna, copies={copy.pk: 0, changed.pk: 0})

    assert {each.attachment_id for each in outcome.decided} == {clip.pk, copy.pk}
    assert [d.decided_by_name for d in outcome.overtaken.values() if d] == ["bert"]
    assert state(copy)["visibility"] == "quarantined"
    assert state(changed)["visibility"] == state(other)["visibility"] == "visible"
    assert log()[1:] == ["attachment_quarantined"] * 2


def test_a_copy_that_came_meanwhile_is_decided_on_too(
    clip: Attachment, conversation: Conversation, anna: Actor
) -> None:
    newer = video(conversation, sha256=SHA)

    decide(clip, REMOVE, anna, newer_copies_than=clip.pk)

    assert state(newer)["visibility"] == "removed"


def test_what_is_sent_later_is_held(
    clip: Attachment, conversation: Conversation, anna: Actor
) -> None:
    def sent(sha256: str = SHA) -> str:
        attachment = Attachment(conversation=conversation, sha256=sha256)
        hold_known_bytes(attachment)
        return f"{attachment.visibility} {attachment.decision_reason}"

    assert sent() == "visible "
    decide(clip, QUARANTINE, anna)
    assert sent() == "quarantined violence"
    assert sent("cd" * 32) == sent("") == "visible "
    decide(clip, REMOVE, anna)
    assert sent() == "quarantined illegal"
    decide(clip, RESTORE, anna)
    assert sent() == "visible "
    decide(clip, Verdict("remove", "privacy", hold_same_bytes=False), anna)
    assert sent() == "visible "


def test_undoing_gives_the_bytes_free_unless_a_copy_was_decided_on_since(
    clip: Attachment, conversation: Conversation, anna: Actor, bert: Actor
) -> None:
    first = decide(clip, QUARANTINE, anna)
    undoing.undo(first.batch, anna)
    assert not HeldContent.objects.exists()

    second = decide(clip, QUARANTINE, anna)
    decide(video(conversation, sha256=SHA), REMOVE, bert)
    undoing.undo(second.batch, anna)
    assert HeldContent.objects.get().reason == "illegal"

    restored = decide(clip, REMOVE, anna), decide(clip, RESTORE, anna)
    assert not HeldContent.objects.exists()
    undoing.undo(restored[1].batch, anna)
    assert HeldContent.objects.get().reason == "illegal"
