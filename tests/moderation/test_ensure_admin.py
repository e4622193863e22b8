"""The administrator of a first start."""

import io

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

pytestmark = pytest.mark.django_db


def run() -> str:
    output = io.StringIO()
    call_command("ensure_admin", stdout=output)
    return output.getvalue()


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADMIN_USERNAME", raising=False)
    monkeypatch.delenv("ADMIN_PASSWORD", raising=False)


def test_it_is_made_once_and_its_password_shown_once() -> None:
    password = run().split()[-1]
    user = User.objects.get(username="admin")
    assert user.check_password(password)
    assert user.is_superuser
    assert user.has_perm("moderation.run_jobs")
    assert run() == ""
    assert User.objects.count() == 1


def test_name_and_password_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_USERNAME", "keeper")
    monkeypatch.setenv("ADMIN_PASSWORD", "a long way to go 42")
    output = run()
    assert "keeper" in output
    assert "a long way" not in output
    assert User.objects.get(username="keeper").check_password("a long way to go 42")


def test_a_person_of_that_name_is_left_alone() -> None:
    User.objects.create_user("admin", password="mine")
    assert "admin-" in run()
    theirs = User.objects.get(username="admin")
    assert theirs.check_password("mine")
    assert not theirs.is_superuser
