"""The second factor: setting up, signing in with it, losing it, and whom it is required of."""

import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group, User
from django.shortcuts import resolve_url
from django.test import Client
from django.utils import timezone
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from chat import checks
from chat.models import ActivityLog, RecoveryCode
from chat.services import second_factor
from chat.services.activity import SYSTEM
from tests.conftest import PASSWORD
from tests.moderation.pages import HTMX, signed_in

SIGN_IN = "/moderation/sign-in/"
CODE = f"{SIGN_IN}code/"
OWN = "/moderation/second-factor/"
PAGE = "/moderation/activity/"
ACTION = ActivityLog.Action

pytestmark = pytest.mark.django_db


def code_of(device: TOTPDevice, steps: int = 0) -> str:
    """What an authenticator shows, now or so many half minutes later."""
    totp = TOTP(device.bin_key)
    totp.time = time.time() + 30 * steps
    return f"{totp.token():06d}"


def wrong(device: TOTPDevice) -> str:
    near = {code_of(device, steps) for steps in range(-2, 3)}
    return next(code for code in ("000000", "111111", "222222") if code not in near)


def actions() -> list[str]:
    return list(ActivityLog.objects.order_by("pk").values_list("action", flat=True))


@pytest.fixture
def enrol() -> Callable[[User], list[str]]:
    """Switches it on with the code of half a minute ago; gives the recovery codes."""

    def enrol(user: User) -> list[str]:
        device = second_factor.begin(user)
        _, codes = second_factor.confirm(user, code_of(device, -1), SYSTEM)
        return codes

    return enrol


def device(user: User) -> TOTPDevice:
    return TOTPDevice.objects.get(user=user)


def half_signed_in(name: str, next_page: str = "") -> Client:
    client = Client()
    form = {"username": name, "password": PASSWORD, "next": next_page}
    response = client.post(SIGN_IN, form)
    assert response.headers["Location"].startswith(f"{CODE}?next=")
    return client


# --- Setting up ---------------------------------------------------------------------------------


def test_setting_it_up(viewer: User) -> None:
    client = signed_in(viewer)
    assert "Set it up" in client.get(OWN).content.decode()
    assert client.get(f"{OWN}set-up/").status_code == 405
    page = client.post(f"{OWN}set-up/", follow=True).content.decode()
    assert "<title>QR code</title>" in page
    assert "style=" not in page
    key = re.search(r"<code>([A-Z2-7 ]+)</code>", page)
    assert key
    new = device(viewer)
    assert not new.confirmed
    assert "was not right" in client.post(f"{OWN}confirm/", {"code": wrong(new)}).content.decode()
    TOTPDevice.objects.update(throttling_failure_timestamp=None)
    response = client.post(f"{OWN}confirm/", {"code": code_of(new)})
    assert "no-store" in response.headers["Cache-Control"]
    codes = re.findall(r"<code>([a-z0-9-]+)</code>", response.content.decode())
    assert len(set(codes)) == 10
    # Stored hashed, shown once; this session goes on, others give a code first.
    stored = set(RecoveryCode.objects.values_list("sha256", flat=True))
    assert stored == {second_factor.digest(code) for code in codes}
    assert codes[0] not in client.get(OWN).content.decode()
    assert client.get(PAGE).status_code == 200
    elsewhere = signed_in(viewer).get(PAGE).headers["Location"]
    assert elsewhere == f"{CODE}?next=%2Fmoderation%2Factivity%2F"
    assert actions() == [ACTION.SECOND_FACTOR_FAILED, ACTION.SECOND_FACTOR_SET]
    assert client.post(f"{OWN}set-up/").status_code == 302
    assert TOTPDevice.objects.get() == new


def test_new_codes_and_switching_off_take_a_code(
    viewer: User, enrol: Callable[[User], list[str]]
) -> None:
    codes = enrol(viewer)
    client = half_signed_in("viewer")
    client.post(CODE, {"code": codes[0]})
    page = client.post(f"{OWN}codes/", {"code": codes[1]}).content.decode()
    fresh = re.findall(r"<code>([a-z0-9-]+)</code>", page)
    assert not set(fresh) & set(codes)
    assert "was not right" in client.post(f"{OWN}off/", {"code": codes[2]}).content.decode()
    TOTPDevice.objects.update(throttling_failure_timestamp=None)
    assert client.post(f"{OWN}off/", {"code": fresh[0]}).status_code == 302
    assert not TOTPDevice.objects.exists()
    assert not RecoveryCode.objects.exists()
    assert actions() == [
        ACTION.SECOND_FACTOR_SET,
        ACTION.SIGNED_IN,
        ACTION.RECOVERY_CODES_MADE,
        ACTION.SECOND_FACTOR_FAILED,
        ACTION.SECOND_FACTOR_REMOVED,
    ]


# --- Signing in ---------------------------------------------------------------------------------


def test_signing_in_takes_both(viewer: User, enrol: Callable[[User], list[str]]) -> None:
    enrol(viewer)
    client = half_signed_in("viewer", PAGE)
    assert client.get(PAGE).status_code == 302
    page = client.get(f"{CODE}?next={PAGE}").content.decode()
    assert f'name="next" value="{PAGE}"' in page
    assert actions() == [ACTION.SECOND_FACTOR_SET]  # nobody has signed in yet

    refused = client.post(CODE, {"code": wrong(device(viewer)), "next": PAGE})
    assert "was not right" in refused.content.decode()
    # The right one comes too soon after the wrong one.
    right = code_of(device(viewer))
    assert "was not right" in client.post(CODE, {"code": right}).content.decode()
    TOTPDevice.objects.update(throttling_failure_timestamp=timezone.now() - timedelta(seconds=5))
    response = client.post(CODE, {"code": f"{right[:3]} {right[3:]}", "next": PAGE})
    assert response.headers["Location"] == PAGE
    assert client.get(PAGE).status_code == 200
    entry = ActivityLog.objects.get(action=ACTION.SIGNED_IN)
    assert (entry.actor, entry.details) == (viewer, {"second_factor": "authenticator"})
    failures = ActivityLog.objects.filter(action=ACTION.SECOND_FACTOR_FAILED)
    assert [failure.outcome for failure in failures] == ["refused", "refused"]

    # A code is good once.
    again = half_signed_in("viewer")
    assert "was not right" in again.post(CODE, {"code": right}).content.decode()
    assert again.get(PAGE).status_code == 302


def test_it_waits_longer_after_each_wrong_code(
    viewer: User, enrol: Callable[[User], list[str]]
) -> None:
    codes = enrol(viewer)
    for _ in range(5):
        TOTPDevice.objects.update(throttling_failure_timestamp=None)
        with pytest.raises(second_factor.WrongCodeError) as refused:
            second_factor.check(viewer, "not-a-code")
    assert 8 < refused.value.wait_seconds <= 16
    page = half_signed_in("viewer").post(CODE, {"code": codes[0]}).content.decode()
    assert re.search(r"Wait 1\d seconds", page)
    assert second_factor.codes_left(viewer) == 10


def test_a_recovery_code_is_good_once(viewer: User, enrol: Callable[[User], list[str]]) -> None:
    code = enrol(viewer)[3]
    for typed, status in ((code.upper().replace("-", " "), 302), (code, 200)):
        assert half_signed_in("viewer").post(CODE, {"code": typed}).status_code == status
    assert second_factor.codes_left(viewer) == 9
    entry = ActivityLog.objects.get(action=ACTION.SIGNED_IN)
    assert entry.details == {"second_factor": "recovery code"}


def test_the_second_step_needs_the_first(viewer: User, enrol: Callable[[User], list[str]]) -> None:
    code = enrol(viewer)[0]
    for method in ("get", "post"):
        response = getattr(Client(), method)(CODE, {"code": code})
        assert response.headers["Location"] == SIGN_IN
    late = half_signed_in("viewer")
    session = late.session
    session["second_factor"] = {"user": viewer.pk, "at": time.time() - 601}
    session.save()
    assert late.post(CODE, {"code": code}).headers["Location"] == SIGN_IN
    gone = half_signed_in("viewer")
    User.objects.update(is_active=False)
    assert gone.post(CODE, {"code": code}).headers["Location"] == SIGN_IN


def test_it_leads_to_no_other_site(viewer: User, enrol: Callable[[User], list[str]]) -> None:
    code = enrol(viewer)[0]
    client = half_signed_in("viewer", "https://example.com/")
    assert "example.com" not in client.get(f"{CODE}?next=//example.com/").content.decode()
    response = client.post(CODE, {"code": code, "next": "//example.com/"})
    assert response.headers["Location"] == resolve_url(django_settings.LOGIN_REDIRECT_URL)


@pytest.mark.parametrize("code", ["", "\x00", "٠١٢٣٤٥", "x" * 500, "\ud800"])
def test_nonsense_is_a_wrong_code(
    viewer: User, enrol: Callable[[User], list[str]], code: str
) -> None:
    enrol(viewer)
    with pytest.raises(second_factor.WrongCodeError):
        second_factor.check(viewer, code)


def test_the_token_of_the_api_takes_both(viewer: User, enrol: Callable[[User], list[str]]) -> None:
    code = enrol(viewer)[0]
    form = {"username": "viewer", "password": PASSWORD}
    url, kind = "/api/auth/token/", "application/json"
    for body in (form, {**form, "code": "wrong"}):
        response = Client().post(url, body, content_type=kind)
        assert (response.status_code, response.json()["code"]) == (401, "second_factor_required")
    assert actions().count(ACTION.SECOND_FACTOR_FAILED) == 1
    TOTPDevice.objects.update(throttling_failure_timestamp=None)
    assert "token" in Client().post(url, {**form, "code": code}, content_type=kind).json()
    wrong_password = {**form, "password": "x", "code": code}
    response = Client().post(url, wrong_password, content_type=kind)
    assert response.json()["code"] == "authentication_failed"


# --- Of whom it is required ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("required", "names"),
    [
        ("none", set()),
        ("admins", {"admin", "boss"}),
        ("staff", {"admin", "boss", "viewer", "clerk"}),
    ],
)
def test_of_whom_it_is_required(
    settings: Any, required: str, names: set[str], viewer: User, admin: User, member: User
) -> None:
    settings.REQUIRE_2FA = required
    boss = User.objects.create_user("boss")
    boss.groups.set(Group.objects.filter(name="admin"))
    clerk = User.objects.create_user("clerk", is_staff=True)
    for user in (viewer, admin, member, boss, clerk):
        fresh = User.objects.get(pk=user.pk)
        assert second_factor.is_required_of(fresh) == (user.username in names), user


@pytest.mark.parametrize("path", ["/moderation/activity/?actor=a", "/admin/", "/admin/auth/user/"])
def test_who_needs_one_sets_it_up_first(settings: Any, admin: User, path: str) -> None:
    settings.REQUIRE_2FA = "admins"
    client = signed_in(admin)
    response = client.get(path)
    assert response.headers["Location"].startswith(f"{OWN}?next=")
    assert client.post(path).headers["Location"] == OWN
    assert client.get(path, headers=HTMX).status_code == 401
    assert "Your role needs a second factor" in client.get(OWN).content.decode()
    client.post(f"{OWN}set-up/")
    client.post(f"{OWN}confirm/", {"code": code_of(device(admin))})
    assert client.get(path).status_code == 200
    assert "cannot be switched off" in client.get(OWN).content.decode()
    assert client.post("/moderation/sign-out/").status_code == 302


def test_required_it_cannot_be_switched_off(
    settings: Any, admin: User, enrol: Callable[[User], list[str]]
) -> None:
    codes = enrol(admin)
    settings.REQUIRE_2FA = "admins"
    client = half_signed_in("admin")
    client.post(CODE, {"code": codes[0]})
    assert client.post(f"{OWN}off/", {"code": codes[1]}).status_code == 403
    assert TOTPDevice.objects.exists()


def test_the_administration_takes_the_same_road(
    admin: User, enrol: Callable[[User], list[str]]
) -> None:
    codes = enrol(admin)
    client = Client()
    form = {"username": "admin", "password": PASSWORD, "next": "/admin/"}
    there = client.post("/admin/login/", form).headers["Location"]
    assert there == f"{CODE}?next=%2Fadmin%2F"
    assert client.get("/admin/").headers["Location"] == "/admin/login/?next=/admin/"
    response = client.post(CODE, {"code": codes[0], "next": "/admin/"})
    assert response.headers["Location"] == "/admin/"
    page = client.get("/admin/").content.decode()
    assert "totpdevice" not in page.lower()
    client.post("/admin/logout/")
    assert actions()[-2:] == [ACTION.SIGNED_IN, ACTION.SIGNED_OUT]


# --- Another person's ---------------------------------------------------------------------------


def test_an_admin_resets_another_persons(
    admin: User, viewer: User, enrol: Callable[[User], list[str]]
) -> None:
    enrol(viewer)
    url = f"/moderation/people/{viewer.pk}/"
    client = signed_in(admin)
    assert "Reset the second factor" in client.get(url).content.decode()
    assert client.post(f"{url}second-factor/").status_code == 302
    assert client.post(f"{url}second-factor/").status_code == 302
    assert Client().post(SIGN_IN, {"username": "viewer", "password": PASSWORD}).status_code == 302
    removed = ActivityLog.objects.get(action=ACTION.SECOND_FACTOR_REMOVED)
    assert (removed.actor, removed.object_id) == (admin, viewer.pk)
    own = client.post(f"/moderation/people/{admin.pk}/second-factor/")
    assert own.status_code == 409


def test_the_deployment_check_recommends_it(settings: Any) -> None:
    def told() -> bool:
        return [message.id for message in checks.second_factor()] == ["chat.I004"]

    assert told()
    settings.REQUIRE_2FA = "admins"
    assert not told()
