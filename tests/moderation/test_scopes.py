"""The set that a job is about."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from chat.models import Attachment, Conversation
from moderation.models import Job
from moderation.scopes import RENDITIONS, Scope
from tests.moderation.jobs import start

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]
MakeVideo = Callable[..., Attachment]


@pytest.mark.parametrize("kind", [Job.Kind.METADATA, Job.Kind.THUMBNAILS])
def test_scopes(kind: str, legacy_video: MakeVideo, owner: User) -> None:
    elsewhere = Conversation.objects.create(title="Elsewhere", created_by=owner)
    first, second = legacy_video(), legacy_video(original_name="needle.mp4")
    third = legacy_video(conversation=elsewhere)
    legacy_video(visibility=Attachment.Visibility.REMOVED)
    legacy_video(kind=Attachment.Kind.FILE)
    if kind in RENDITIONS:
        Attachment.objects.update(processing_state=Attachment.ProcessingState.READY)

    def found(**fields: Any) -> list[int]:
        scope = Scope(only="all", **fields)
        assert Scope.from_json(scope.to_json()) == scope
        job = start(scope, kind=kind)
        return [pk for chunk in job.chunks.all() for pk in chunk.attachment_ids]

    assert found() == [first.pk, second.pk, third.pk]
    assert found(ids=(third.pk, first.pk, 999)) == [first.pk, third.pk]
    assert found(conversation=elsewhere.pk) == [third.pk]
    assert found(filters={"q": "needle"}) == [second.pk]
    assert found(limit=2) == [first.pk, second.pk]


def test_scopes_in_words(conversation: Conversation) -> None:
    assert Scope().words("metadata") == "videos without metadata"
    assert Scope(ids=(7,)).words("metadata") == "1 selected video without metadata"
    assert Scope(only="all", ids=(7, 8)).words("thumbnails") == "2 selected videos"
    scope = Scope(only="failed", conversation=conversation.pk, filters={"q": "x"}, limit=1000)
    assert scope.words("metadata") == "failed videos in “Holiday”, matches “x”, at most 1,000"
    assert len(Scope(filters={"q": "x" * 200, "uploader": "y" * 150}).words("metadata")) == 300


def test_nonsense_in_a_scope_is_refused() -> None:
    with pytest.raises(ValueError, match="only"):
        Scope(only="some")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="limit"):
        Scope(limit=0)
    with pytest.raises(ValueError, match="filters"):
        Scope(filters={"duration_min": "long"}).queryset("metadata")
