"""The cast and the stage: people, a conversation, private media, real clips."""

import os
import signal
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.core.files import File

from chat.models import Attachment, Conversation, Participant
from tests.clips import clip
from tests.services import postgresql, redis_server

# A test run that was started in the background ignores these, and so would all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

PASSWORD = "correct horse battery"
# What takes longest is begun first, or one process of a parallel run is at it alone in the end.
LONG = {
    "test_chaos", "test_storages", "test_consumers", "test_graceful_stop", "test_seed_demo",
    "test_command_processes", "test_mutations", "test_migrations",
}  # fmt: skip


def pytest_xdist_auto_num_workers() -> int:
    """Two for each processor: half of the time tests wait for what they have started."""
    return min(2 * (os.cpu_count() or 1), 16)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """After pytest-randomly has shuffled them: otherwise the order is still random."""
    items.sort(key=lambda item: item.path.stem not in LONG)


@pytest.fixture(autouse=True)
def _private_files(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path / "incoming")
    (tmp_path / "incoming").mkdir()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a real PostgreSQL, for tests that start installations on it."""
    with postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with redis_server() as server:
        yield server.url


def person(name: str, **fields: Any) -> User:
    return User.objects.create_user(name, f"{name}@example.org", PASSWORD, **fields)


@pytest.fixture
def owner(db: None) -> User:
    return person("owner")


@pytest.fixture
def member(db: None) -> User:
    return person("member")


@pytest.fixture
def outsider(db: None) -> User:
    return person("outsider")


@pytest.fixture
def viewer(db: None) -> User:
    return with_role("viewer")


@pytest.fixture
def moderator(db: None) -> User:
    return with_role("moderator")


@pytest.fixture
def operator(db: None) -> User:
    return with_role("operator")


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("admin", "admin@example.org", PASSWORD)


def with_role(role: str) -> User:
    user = person(role)
    if not Group.objects.filter(name=role).exists():  # a transactional test emptied the tables
        import_module("moderation.migrations.0002_roles").create_roles(apps, None)
    user.groups.add(Group.objects.get(name=role))
    return user


@pytest.fixture
def conversation(owner: User, member: User) -> Conversation:
    """Of ``owner`` and ``member``."""
    conversation = Conversation.objects.create(title="Holiday", created_by=owner)
    Participant.objects.create(conversation=conversation, user=owner, role=Participant.Role.OWNER)
    Participant.objects.create(conversation=conversation, user=member)
    return conversation


@pytest.fixture
def legacy_video(conversation: Conversation, owner: User) -> Callable[..., Attachment]:
    """Makes an attachment as it was before 0004: a stored file and no metadata."""

    def make(path: Path | None = None, **fields: Any) -> Attachment:
        path = path or clip()
        with path.open("rb") as file:
            return Attachment.objects.create(
                **{
                    "conversation": conversation,
                    "uploaded_by": owner,
                    "file": File(file, name=path.name),
                    "original_name": path.name,
                    "size": path.stat().st_size,
                    "kind": Attachment.Kind.VIDEO,
                    **fields,
                }
            )

    return make
