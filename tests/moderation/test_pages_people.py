"""People and roles: who may, what it does, and the two rules that nobody gets around."""

from itertools import count
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from chat.models import ActivityLog
from chat.services import quotas
from chat.services.activity import Actor
from moderation import roles
from moderation.roles import NotAllowedError
from tests.conftest import person, with_role
from tests.moderation.pages import HTMX, assert_guarded, assert_is_a_list, signed_in

URL = "/moderation/people/"
ACTION = ActivityLog.Action

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(db: None) -> User:
    """An admin by role, no superuser."""
    boss = with_role("admin")
    boss.username = "boss"
    boss.save()
    return boss


def names(client: Client, query: str = "") -> list[str]:
    response = client.get(f"{URL}?{query}")
    return [row.record.username for row in response.context["table"].paginated_rows]


def test_it_is_a_list(boss: User, outsider: User) -> None:
    numbers = count()

    def add() -> None:
        user = person(f"somebody-{next(numbers)}")
        user.groups.set(Group.objects.filter(name__in=["viewer", "operator"]))

    assert_is_a_list(URL, boss, outsider, add)


def test_who_may_open_it(boss: User, moderator: User, operator: User, member: User) -> None:
    for user in (moderator, operator):
        assert_guarded(URL, user)
        assert_guarded(f"{URL}{member.pk}/", user)
        assert_guarded(f"{URL}{member.pk}/roles/", user, "post")
        assert_guarded(f"{URL}{member.pk}/active/", user, "post")
        assert_guarded(f"{URL}{member.pk}/quota/", user, "post")
        assert URL not in signed_in(user).get("/moderation/activity/").content.decode()
    client = signed_in(boss)
    assert f'href="{URL}"' in client.get("/moderation/activity/").content.decode()
    assert client.get(f"{URL}999999/").status_code == 404
    assert client.post(f"{URL}999999/roles/").status_code == 404
    assert client.get(f"{URL}{member.pk}/roles/").status_code == 405


def test_the_right_counts_not_the_name_of_the_group(member: User, outsider: User) -> None:
    for codename in ("view_dashboard", "manage_roles"):
        member.user_permissions.add(Permission.objects.get(codename=codename))
    client = signed_in(member)
    assert client.get(URL).status_code == 200
    assert client.post(f"{URL}{outsider.pk}/roles/", {"role": "viewer"}).status_code == 302


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["admin", "boss", "member", "viewer"]),
        ("q=EMB", ["member"]),
        ("q=viewer@example", ["viewer"]),
        ("q=zebra", []),
        ("role=viewer", ["viewer"]),
        ("role=any", ["boss", "viewer"]),
        ("role=none", ["admin", "member"]),
        ("role=superuser", ["admin"]),
        ("state=deactivated", ["member"]),
        ("state=active&role=none", ["admin"]),
        ("sort=-name", ["viewer", "member", "boss", "admin"]),
        ("role=king", ["admin", "boss", "member", "viewer"]),
    ],
)
def test_each_filter(
    boss: User, viewer: User, admin: User, member: User, query: str, expected: list[str]
) -> None:
    member.is_active = False
    member.save()
    assert names(signed_in(boss), query) == expected


def test_giving_and_taking_roles(boss: User, viewer: User) -> None:
    client = signed_in(boss)
    url = f"{URL}{viewer.pk}/"
    page = client.get(url).content.decode()
    assert 'value="viewer" checked' in page
    response = client.post(f"{url}roles/", {"role": ["moderator", "operator"]}, follow=True)
    assert "The roles are changed." in response.content.decode()
    viewer = User.objects.get(pk=viewer.pk)
    assert viewer.has_perms(["moderation.decide", "moderation.run_jobs"])
    assert set(viewer.groups.values_list("name", flat=True)) == {"moderator", "operator"}
    entry = ActivityLog.objects.get(action=ACTION.ROLES_CHANGED)
    assert (entry.actor, entry.object_id) == (boss, viewer.pk)
    assert entry.details == {"given": ["moderator", "operator"], "taken": ["viewer"]}
    assert "changed the roles of" in response.content.decode()

    # The same once more is no change, and no entry.
    client.post(f"{url}roles/", {"role": ["moderator", "operator"]})
    assert ActivityLog.objects.filter(action=ACTION.ROLES_CHANGED).count() == 1
    assert client.post(f"{url}roles/", {"role": "king"}).status_code == 400


def test_other_groups_are_left_alone(boss: User, viewer: User) -> None:
    viewer.groups.add(Group.objects.create(name="choir"))
    signed_in(boss).post(f"{URL}{viewer.pk}/roles/")
    assert list(viewer.groups.values_list("name", flat=True)) == ["choir"]


def test_nobody_locks_himself_out(boss: User, admin: User) -> None:
    client = signed_in(boss)
    for form in ("roles", "active"):
        response = client.post(f"{URL}{boss.pk}/{form}/", {"active": "0"}, headers=HTMX)
        assert response.status_code == 409
        assert "Nothing was changed" in response.content.decode()
    assert roles.admins().filter(pk=boss.pk).exists()
    assert "Deactivate boss" not in client.get(f"{URL}{boss.pk}/").content.decode()
    assert not ActivityLog.objects.exists()
    # A superuser keeps the right without the role.
    assert signed_in(admin).post(f"{URL}{admin.pk}/roles/").status_code == 302


def test_of_two_admins_that_dismiss_each_other_one_stays(boss: User) -> None:
    other = person("other")
    other.groups.set(boss.groups.all())
    roles.set_roles(other.pk, [], Actor(user=boss))
    with pytest.raises(NotAllowedError, match="no longer"):
        roles.set_roles(boss.pk, [], Actor(user=other))
    assert list(roles.admins()) == [boss]


def test_deactivating_ends_sessions_and_can_be_undone(boss: User, viewer: User) -> None:
    theirs, client = signed_in(viewer), signed_in(boss)
    assert theirs.get("/moderation/activity/").status_code == 200
    client.post(f"{URL}{viewer.pk}/active/", {"active": "0"})
    assert theirs.get("/moderation/activity/").status_code == 302
    assert "Let viewer in again" in client.get(f"{URL}{viewer.pk}/").content.decode()
    client.post(f"{URL}{viewer.pk}/active/", {"active": "1"})
    client.post(f"{URL}{viewer.pk}/active/", {"active": "1"})
    assert signed_in(viewer).get("/moderation/activity/").status_code == 200
    told = ActivityLog.objects.order_by("pk").values_list("action", "actor", "object_id")
    assert list(told) == [
        (ACTION.ACCOUNT_DEACTIVATED, boss.pk, viewer.pk),
        (ACTION.ACCOUNT_ACTIVATED, boss.pk, viewer.pk),
    ]


def test_superusers_are_changed_by_superusers(boss: User, admin: User) -> None:
    second = User.objects.create_superuser("second", password="x")
    for form in ("roles", "active", "quota"):
        data = {"role": "viewer", "active": "0", "gigabytes": "1"}
        assert signed_in(boss).post(f"{URL}{second.pk}/{form}/", data).status_code == 409
        assert signed_in(admin).post(f"{URL}{second.pk}/{form}/", data).status_code == 302
    second.refresh_from_db()
    assert not second.is_active


def test_a_quota_of_their_own(boss: User, member: User, settings: Any) -> None:
    settings.USER_QUOTA_BYTES = 2 * 10**9
    client = signed_in(boss)
    url = f"{URL}{member.pk}/"
    assert "0 B of 2.0 GB" in client.get(url).content.decode()

    answer = client.post(f"{url}quota/", {"gigabytes": "12.5"}, follow=True).content.decode()

    assert "The quota is changed." in answer
    assert "0 B of 12.5 GB" in answer
    assert 'value="12.5"' in answer
    assert quotas.quota_of(member) == 12_500_000_000
    entry = ActivityLog.objects.get(action=ACTION.QUOTA_CHANGED)
    assert (entry.actor, entry.object_id) == (boss, member.pk)
    for nonsense in ("-1", "much", "1e99", "NaN"):
        refused = client.post(f"{url}quota/", {"gigabytes": nonsense})
        assert refused.status_code == 400
        assert 'id="id_gigabytes_error"></p>' not in refused.content.decode()
    client.post(f"{url}quota/", {"gigabytes": ""})
    assert quotas.own_quota(member) is None
