"""The second factor: a code of an authenticator (TOTP, RFC 6238), or a recovery code.

The device and its throttle (1, 2, 4, 8 … seconds after wrong codes, of either kind) are
django-otp's.  A code is good once.
"""

import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, User
from django.db import transaction
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from chat.models import ActivityLog, RecoveryCode
from chat.services import activity
from chat.services.activity import Actor

RECOVERY_CODES = 10
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
Action = ActivityLog.Action
Kind = Literal["authenticator", "recovery code"]


class WrongCodeError(Exception):
    """The code is wrong, was used, or came too soon after a wrong one."""

    def __init__(self, wait_seconds: int = 0) -> None:
        super().__init__("wrong code")
        self.wait_seconds = wait_seconds


@dataclass(frozen=True, slots=True)
class Proof:
    device: TOTPDevice
    kind: Kind


def device_of(user: AbstractBaseUser) -> TOTPDevice | None:
    """The authenticator that this account signs in with, if it has one."""
    found: TOTPDevice | None = TOTPDevice.objects.filter(user_id=user.pk, confirmed=True).first()
    return found


def is_required_of(user: User) -> bool:
    """As REQUIRE_2FA says: of nobody, of who may manage roles, of all who see the dashboard."""
    if settings.REQUIRE_2FA == "none":
        return False
    if user.is_superuser or user.has_perm("moderation.manage_roles"):
        return True
    staff = user.is_staff or user.has_perm("moderation.view_dashboard")
    return settings.REQUIRE_2FA == "staff" and staff


def check(user: User, code: str) -> Proof:
    """The code proves that it is ``user``.  Raises ``WrongCodeError``."""
    with transaction.atomic():
        device = TOTPDevice.objects.select_for_update().filter(user=user, confirmed=True).first()
        proof = proof_of(device, user, code) if device else None
    # After the commit: a failure counts.
    if proof is None:
        raise WrongCodeError(seconds_to_wait(device) if device else 0)
    return proof


def proof_of(device: TOTPDevice, user: User, code: str) -> Proof | None:
    allowed, _ = device.verify_is_allowed()
    if not allowed:
        return None
    digits = code.replace(" ", "")
    if digits.isascii() and digits.isdecimal() and len(digits) == device.digits:
        return Proof(device, "authenticator") if device.verify_token(digits) else None
    unused = RecoveryCode.objects.filter(user=user, sha256=digest(code), used_at=None)
    if unused.update(used_at=timezone.now()):
        device.throttle_reset()
        return Proof(device, "recovery code")
    device.throttle_increment()
    return None


def seconds_to_wait(device: TOTPDevice) -> int:
    allowed, why = device.verify_is_allowed()
    if allowed:
        return 0
    left: float = (why["locked_until"] - timezone.now()).total_seconds()
    return max(1, round(left))


# --- Setting up ---------------------------------------------------------------------------------


def begin(user: User) -> TOTPDevice:
    """A new device that counts once a code of it was given; earlier tries are forgotten."""
    with transaction.atomic():
        TOTPDevice.objects.filter(user=user, confirmed=False).delete()
        device: TOTPDevice = TOTPDevice.objects.create(user=user, name="app", confirmed=False)
    return device


def device_to_confirm(user: AbstractBaseUser) -> TOTPDevice | None:
    found: TOTPDevice | None = TOTPDevice.objects.filter(user_id=user.pk, confirmed=False).first()
    return found


def confirm(user: User, code: str, actor: Actor) -> tuple[TOTPDevice, list[str]]:
    """Switch the second factor on; its device and recovery codes.  Raises ``WrongCodeError``."""
    with transaction.atomic():
        waiting = TOTPDevice.objects.select_for_update().filter(user=user, confirmed=False)
        device = waiting.first()
        right = (
            device is not None
            and device_of(user) is None
            and device.verify_token(code.replace(" ", ""))
        )
        if device is not None and right:
            device.confirmed = True
            device.save(update_fields=["confirmed"])
            codes = _new_codes(user)
            activity.record(Action.SECOND_FACTOR_SET, actor, user)
            return device, codes
    raise WrongCodeError(seconds_to_wait(device) if device else 0)


def make_codes(user: User, actor: Actor) -> list[str]:
    """New recovery codes; the earlier ones are void."""
    with transaction.atomic():
        codes = _new_codes(user)
        activity.record(Action.RECOVERY_CODES_MADE, actor, user)
    return codes


def remove(user: User, actor: Actor) -> bool:
    """Switch the second factor off; whether there was one."""
    with transaction.atomic():
        devices = TOTPDevice.objects.filter(user=user)
        had: bool = devices.filter(confirmed=True).exists()
        devices.delete()
        RecoveryCode.objects.filter(user=user).delete()
        if had:
            activity.record(Action.SECOND_FACTOR_REMOVED, actor, user)
    return had


def codes_left(user: AbstractBaseUser) -> int:
    return RecoveryCode.objects.filter(user_id=user.pk, used_at=None).count()


def _new_codes(user: User) -> list[str]:
    RecoveryCode.objects.filter(user=user).delete()
    codes = [_code() for _ in range(RECOVERY_CODES)]
    RecoveryCode.objects.bulk_create(
        RecoveryCode(user=user, sha256=digest(code)) for code in codes
    )
    return codes


def _code() -> str:
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(4))


def digest(code: str) -> str:
    """Of a code as somebody types it: case, dashes and spaces do not count."""
    plain = code.strip().lower().replace("-", "").replace(" ", "")
    return sha256(plain.encode("utf-8", "replace")).hexdigest()
