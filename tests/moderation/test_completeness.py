"""Nothing goes around the activity log: all that there is, against ``what_is_logged``."""

import io
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin as administration
from django.contrib.auth.models import Group, User
from django.core.files.base import ContentFile
from django.core.management import call_command, get_commands
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from chat.models import ActivityLog, Attachment, Conversation, Message
from chat.rendition import Rendition
from chat.services import second_factor
from chat.services.activity import SYSTEM, Actor
from moderation import decisions, steering, tasks
from moderation.decision import Decision
from moderation.models import Chunk, Failure, Job, SavedView
from moderation.queues import JOBS, UPLOADS
from moderation.scopes import Scope
from moderation.verdict import Verdict
from tests.clips import clip
from tests.conftest import PASSWORD, person
from tests.moderation import what_is_logged
from tests.moderation.test_second_factor import code_of
from tests.moderation.what_is_logged import ADDRESSES, ADMINISTRATION, COMMANDS, FILE, TASKS, Told

pytestmark = pytest.mark.django_db
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
UPLOAD_ID = "00000000-0000-4000-8000-000000000000"
PLACEHOLDER = "1QcSHQRnh493V4dIh4eXh1h4kJUI"  # a ThumbHash
CUE = b"WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nsheet.jpg#xywh=0,0,64,48\n"
NUMBERED = ("attachment_id", "conversation_id", "message_id", "user_id", "job_id", "view_id")
NAMED = {"upload_id": UPLOAD_ID, "batch": UPLOAD_ID, "placeholder": PLACEHOLDER}
NOBODYS = {**dict.fromkeys(NUMBERED, 10**9), **NAMED}


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "fill_up", lambda: None)


# --- Everything is registered -------------------------------------------------------------------


def paths(resolver: Any, before: str = "") -> Iterator[str]:
    """Every address but those of the administration's models."""
    for entry in resolver.url_patterns:
        path = before + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield path
        elif isinstance(entry, URLResolver) and entry.app_name != "admin":
            yield from paths(entry, path)


def address(path: str, ids: dict[str, Any]) -> str:
    for name, value in ids.items():
        for converter in ("id", "int", "uuid", "str"):
            path = path.replace(f"<{converter}:{name}>", str(value))
    assert "<" not in path, f"test_completeness knows no value for {path}"
    return f"/{path}"


def test_every_address_and_method_is_registered(admin: User) -> None:
    offered = set()
    for path in paths(get_resolver()):
        for method in METHODS:
            _, token = AuthToken.objects.create(user=admin)  # the last one may be signed out
            headers = {"Authorization": f"Token {token}", "Tus-Resumable": "1.0.0"}
            client = Client(headers=headers)
            client.force_login(admin)
            status = client.generic(method, address(path, NOBODYS)).status_code
            if status != 405:
                offered.add(f"{method} {path}")
    redirects = {f"{method} {path}" for path in ("", "favicon.ico") for method in METHODS[1:]}
    forms = ("moderation/sign-in/", "admin/login/", "admin/password_change/")
    same_as_post = {f"PUT {path}" for path in forms}
    extra, gone = offered - redirects - same_as_post, set(ADDRESSES)
    assert sorted(extra - gone) == []
    assert sorted(gone - extra) == []


def test_every_command_and_task_is_registered() -> None:
    ours = {name for name, app in get_commands().items() if app in ("chat", "moderation")}
    assert ours == set(COMMANDS)
    known = {name.rpartition(".")[2] for queue in (JOBS, UPLOADS) for name in _tasks(queue)}
    assert known == set(TASKS)


def _tasks(queue: Any) -> list[str]:
    return [name for name in queue._registry._registry if name.startswith("moderation.")]


def test_everything_in_the_administration_is_registered(admin: User) -> None:
    """Its pages change what the table says, and offer no other action on selected rows."""
    request = RequestFactory().get("/admin/")
    request.user = admin
    found = {}
    for model, page in administration.site._registry.items():
        rights = page.get_model_perms(request)
        found[model._meta.label_lower] = {verb for verb in rights if rights[verb]} - {"view"}
        actions = set(page.get_actions(request)) - {"delete_selected"}
        assert not actions, model
    assert found == {label: set(verbs) for label, verbs in ADMINISTRATION.items()}


# --- Each does what it is registered with -------------------------------------------------------


class World:
    """One of everything that an address can name."""

    def __init__(self, conversation: Conversation, video: Attachment, cast: dict[str, User]):
        self.conversation, self.video, self.cast = conversation, video, cast
        self.message = Message.objects.create(
            conversation=conversation, sender=cast["owner"], content="Look"
        )
        self.job = steering.create_job(Job.Kind.METADATA, Scope(), SYSTEM, "command")
        Job.objects.filter(pk=self.job.pk).update(status=Job.Status.RUNNING, total=1)
        Chunk.of(self.job, [video.pk]).save()
        self.view = SavedView.objects.create(owner=cast["admin"], name="Mine", query="codec=h264")
        self.upload_id = self.batch = UPLOAD_ID
        self.code = ""

    @property
    def ids(self) -> dict[str, Any]:
        return {
            "attachment_id": self.video.pk,
            "conversation_id": self.conversation.pk,
            "message_id": self.message.pk,
            "user_id": self.cast["member"].pk,
            "job_id": self.job.pk,
            "view_id": self.view.pk,
            "upload_id": self.upload_id,
            "batch": self.batch,
            "placeholder": PLACEHOLDER,
        }

    def client(self, who: str) -> APIClient:
        """Signed in both ways: of the API a token, of the dashboard a session."""
        _, token = AuthToken.objects.create(user=self.cast[who])
        client = APIClient(headers={"Authorization": f"Token {token}"})
        client.force_login(self.cast[who])
        return client


@pytest.fixture
def world(
    legacy_video: Callable[..., Attachment],
    conversation: Conversation,
    owner: User,
    member: User,
    outsider: User,
    admin: User,
) -> World:
    video = legacy_video(
        processing_state="ready", content_type="video/mp4", codec="h264", container="mp4",
        duration=1.0, width=64, height=48, sha256="0" * 64,
    )  # fmt: skip
    video.thumbnail.save("x.jpg", ContentFile(b"a picture"))
    for kind in ("storyboard", "storyboard_map", "preview"):
        Rendition.objects.create(
            attachment=video,
            kind=kind,
            file=ContentFile(CUE, name=kind),
            content_type="video/mp4",
            pipeline_version=1,
        )
    cast = {"owner": owner, "member": member, "outsider": outsider, "admin": admin}
    return World(conversation, video, cast)


def create_upload(world: World) -> Any:
    """A resumable upload of a clip, of which nothing is sent yet."""
    return world.client("owner").post(
        f"/api/chat/uploads/?conversation={world.conversation.pk}",
        headers={
            "Tus-Resumable": "1.0.0",
            "Upload-Length": str(clip().stat().st_size),
            "Upload-Metadata": "filename YS5tcDQ=",
        },
    )


def prepare(world: World, before: str, who: str) -> None:
    """What comes before the request; its own entries are not counted."""
    if before == "upload":
        made = create_upload(world)
        assert made.status_code == 201, made.content
        world.upload_id = made.headers["Location"].rstrip("/").rpartition("/")[2]
    elif before == "key":
        world.code = code_of(second_factor.begin(world.cast[who]))
    elif before in ("second factor", "their second factor"):
        user = world.cast[who if before == "second factor" else "member"]
        device = second_factor.begin(user)
        _, codes = second_factor.confirm(user, code_of(device, -1), SYSTEM)
        world.code = codes[0]
    elif before == "decision":
        verdict = Verdict(Decision.Action.QUARANTINE, reason="spam")
        outcome = decisions.decide_many({world.video.pk: None}, verdict, Actor(world.cast[who]))
        world.batch = str(outcome.batch)
    elif before == "pause":
        steering.pause(world.job, SYSTEM)
    elif before == "failure":
        Chunk.objects.update(cursor=1, failed=1)
        Job.objects.update(status=Job.Status.DONE)
        Failure.objects.create(job=world.job, attachment=world.video, code="corrupt")


def filled(world: World, data: dict[str, Any]) -> dict[str, Any]:
    known = {
        "c": world.conversation.pk,
        "v": world.video.pk,
        "PASSWORD": PASSWORD,
        "CODE": world.code,
    }
    result = {}
    for name, value in data.items():
        if value == FILE:
            value = ContentFile(clip().read_bytes(), name="clip.mp4")
        elif isinstance(value, list):
            value = [known.get(each, each) for each in value]
        result[name] = known.get(value, value) if isinstance(value, str) else value
    return result


def ask(world: World, method: str, path: str, told: Told) -> Any:
    client = world.client(told.who)
    url = address(path, world.ids)
    if method == "GET":
        response = client.get(url, filled(world, told.data))
    elif path == "api/chat/uploads/":
        response = create_upload(world)
    elif "uploads/<uuid" in path:
        headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0"}
        body = clip().read_bytes()
        kind = "application/offset+octet-stream"
        response = client.generic(method, url, body, content_type=kind, headers=headers)
    elif path.startswith("api/") and FILE not in told.data.values():
        response = getattr(client, method.lower())(url, filled(world, told.data), format="json")
    else:
        response = client.generic_form(method, url, filled(world, told.data))
    for _ in getattr(response, "streaming_content", ()):
        pass
    return response


class FormClient(APIClient):
    def generic_form(self, method: str, url: str, data: dict[str, Any]) -> Any:
        return getattr(self, method.lower())(url, data, format="multipart")


@pytest.mark.parametrize("key", ADDRESSES)
def test_one_entry_or_none_with_a_reason(
    key: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(APIClient, "generic_form", FormClient.generic_form, raising=False)
    method, _, path = key.partition(" ")
    told = ADDRESSES[key]
    assert bool(told.action) != bool(told.because)
    prepare(world, told.before, told.who)
    already = ActivityLog.objects.count()
    response = ask(world, method, path, told)
    entries = list(ActivityLog.objects.order_by("pk")[already:])
    assert [entry.action for entry in entries] == ([told.action] if told.action else []), (
        response.status_code,
        response.content[:500] if not response.streaming else "",
    )
    assert response.status_code < 400 or told.who == "outsider"
    if told.action:
        assert entries[0].actor_name == told.who
        assert entries[0].ip_address == "127.0.0.1"


@pytest.mark.parametrize("verb", ["add", "change", "delete"])
@pytest.mark.parametrize("label", ["auth.user", "auth.group"])
def test_the_administration_tells_of_each_change(admin: User, label: str, verb: str) -> None:
    model = apps.get_model(label)
    row = person("old") if model is User else Group.objects.create(name="old")
    client = Client()
    client.force_login(admin)
    base = f"/admin/{label.replace('.', '/')}/"
    url = f"{base}add/" if verb == "add" else f"{base}{row.pk}/{verb}/"
    secret = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    joined = {"date_joined_0": "2026-01-01", "date_joined_1": "10:00:00"}
    names = {"username": "new", "name": "new", "post": "yes"}
    response = client.post(url, {**names, **secret, **joined})
    assert response.status_code == 302, response.context["errors"]
    (entry,) = ActivityLog.objects.all()
    assert entry.action == ADMINISTRATION[label][verb]
    assert (entry.actor, entry.object_type) == (admin, label.partition(".")[2])


def test_nobody_locks_himself_out_in_the_administration(admin: User) -> None:
    client = Client()
    client.force_login(admin)
    form = {"username": "admin", "date_joined_0": "2026-01-01", "date_joined_1": "10:00:00"}
    assert client.post(f"/admin/auth/user/{admin.pk}/change/", form).status_code == 302
    admin.refresh_from_db()
    assert admin.is_active
    assert admin.is_superuser
    deleted = client.post(f"/admin/auth/user/{admin.pk}/delete/", {"post": "yes"})
    assert deleted.status_code == 403


def remove_long_ago(world: World) -> None:
    verdict = Verdict(Decision.Action.REMOVE, reason="spam")
    decisions.decide_many({world.video.pk: None}, verdict, Actor(world.cast["admin"]))
    Attachment.objects.update(removed_at=timezone.now() - timedelta(days=3650))


def run_command(name: str, world: World, folder: Path) -> None:
    arguments = {
        "import_videos": [str(folder), "--conversation", "Holiday", "--user", "owner"],
        "jobs": ["pause", str(world.job.pk)],
    }.get(name, [])
    if name == "import_videos":
        (folder / "one.mp4").write_bytes(clip().read_bytes())
    if name == "ensure_admin":
        User.objects.filter(is_superuser=True).delete()
    if name == "backfill_video_metadata":
        Job.objects.all().delete()
        Attachment.objects.update(processing_state="pending", codec="", width=None)
    if name == "erase_removed":
        remove_long_ago(world)
    already = ActivityLog.objects.count()
    call_command(name, *arguments, stdout=io.StringIO(), stderr=io.StringIO())
    entries = ActivityLog.objects.order_by("pk")[already:]
    assert [entry.action for entry in entries] == COMMANDS[name]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", [n for n, told in COMMANDS.items() if isinstance(told, list)])
def test_each_command(
    name: str, world: World, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ADMIN_PASSWORD", raising=False)
    folder = tmp_path / "to-import"
    folder.mkdir()
    run_command(name, world, folder)


@pytest.mark.parametrize("name", TASKS)
def test_each_task(name: str, world: World) -> None:
    if name == "erase_removed":
        remove_long_ago(world)
    already = ActivityLog.objects.count()
    task = getattr(tasks, name)
    if name == "make_renditions":
        Rendition.objects.all().delete()
        task.call_local(world.video.pk)
    else:
        Attachment.objects.update(processing_state="pending", codec="")
        task.call_local()
    entries = ActivityLog.objects.order_by("pk")[already:]
    assert [entry.action for entry in entries] == TASKS[name]


def test_the_table_gives_a_reason_where_it_gives_no_entry() -> None:
    reasons = [told.because for told in ADDRESSES.values() if not told.action]
    assert all(len(reason) > 10 for reason in reasons)
    assert {told.action for told in ADDRESSES.values() if told.action} <= set(
        ActivityLog.Action.values
    )
    assert what_is_logged.__doc__
