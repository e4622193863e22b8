"""Two who decide, and a video to decide on."""

import pytest
from django.contrib.auth.models import User

from chat.models import Attachment, Conversation
from chat.services.activity import Actor
from tests.conftest import person
from tests.moderation.deciding import SHA
from tests.moderation.pages import video


@pytest.fixture
def anna(moderator: User) -> Actor:
    return Actor(user=moderator, ip_address="192.0.2.7")


@pytest.fixture
def bert(db: None) -> Actor:
    return Actor(user=person("bert"))


@pytest.fixture
def clip(conversation: Conversation) -> Attachment:
    return video(conversation, sha256=SHA)
