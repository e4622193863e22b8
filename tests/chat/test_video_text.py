"""The searched texts follow whatever writes videos, conversations and accounts."""

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection

from chat import video_text
from chat.models import Attachment, Conversation, VideoText
from tests.moderation.pages import video

pytestmark = [pytest.mark.django_db, pytest.mark.every_database]


def found(words: str) -> list[str]:
    videos = Attachment.objects.filter(text__body__finds=words).order_by("pk")
    return list(videos.values_list("original_name", flat=True))


def test_any_three_characters_are_found(conversation: Conversation) -> None:
    video(conversation, original_name='Lake 100%_"Ost".mp4')
    video(conversation, original_name="ball.mkv")
    lake = ['Lake 100%_"Ost".mp4']
    for words in ("lak", "AKE", "ke 1", "100%", '"ost', '%_"'):
        assert found(words) == lake, words
    for words in ("oliday", "owner"):  # conversation and uploader
        assert found(words) == [*lake, "ball.mkv"]
    for words in ("100_", "lake.", "zzz"):
        assert found(words) == []


def test_changes_are_followed(conversation: Conversation, owner: User, member: User) -> None:
    row = video(conversation, original_name="first.mp4")
    other = video(conversation, original_name="other.mp4", uploaded_by=member)
    Attachment.objects.filter(pk=row.pk).update(original_name="second.mp4")
    assert (found("first"), found("second")) == ([], ["second.mp4"])
    Conversation.objects.update(title="Regatta")
    assert (found("Holiday"), found("Regatta")) == ([], ["second.mp4", "other.mp4"])
    User.objects.filter(pk=member.pk).update(username="skipper")
    assert found("skipper") == ["other.mp4"]
    Attachment.objects.filter(pk=other.pk).update(uploaded_by=None)
    assert found("skipper") == []
    Attachment.objects.filter(pk=other.pk).update(kind="file")
    assert found("other") == []
    Attachment.objects.filter(pk=other.pk).update(kind="video")
    assert found("other") == ["other.mp4"]
    Attachment.objects.filter(pk=other.pk).delete()
    assert VideoText.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_migrating_brings_the_triggers_back(conversation: Conversation) -> None:
    video_text.drop_triggers(connection)
    call_command("migrate", verbosity=0)
    video(conversation, original_name="after.mp4")
    assert found("after") == ["after.mp4"]


def test_a_table_that_they_name_can_be_made_anew(conversation: Conversation) -> None:
    """As a migration on SQLite does, between the signals: no trigger may name it then."""
    video_text.before_migrate("default")
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'")
            assert not [sql for (sql,) in cursor.fetchall() if "chat_videotext" in sql]
    video_text.after_migrate("default")
    video(conversation, original_name="after.mp4")
    assert found("after") == ["after.mp4"]
