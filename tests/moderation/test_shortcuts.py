"""Keys and the command palette: what they offer, to whom."""

import re
from pathlib import Path

from django.contrib.auth.models import User
from django.test import Client

from moderation.models import SavedView
from moderation.navigation import PLACES
from moderation.shortcuts import SHORTCUTS
from tests.moderation.pages import signed_in

ROOT = Path(__file__).resolve().parents[2]
# Taken by modules that look after more than a key, or by the browser itself.
OF_THEIR_OWN = {"Ctrl+K": "palette", "Esc": "menus", "← →": "storyboard", "Enter": "keys"}


def test_every_key_that_a_page_takes_is_shown() -> None:
    taken = set(OF_THEIR_OWN)
    for template in (ROOT / "templates").rglob("*.html"):
        taken.update(re.findall(r'data-key="([^"{]+)"', template.read_text()))
    keys = (ROOT / "static/js/keys.js").read_text()
    taken.update(re.findall(r"^  (\w): \(\) =>", keys.partition("OF_LISTS = {")[2], re.MULTILINE))
    player = (ROOT / "static/js/player.js").read_text()
    taken.update(re.findall(r': "(\w)"', re.findall(r"KEYS = (\{.*\});", player)[0]))
    assert {"j", "x", "q", "F", "p"} <= taken
    assert taken == {key for keys in SHORTCUTS.values() for key in keys}


def test_they_are_on_every_page_with_the_places_one_may_go_to(viewer: User, admin: User) -> None:
    for user in (viewer, admin):
        dialog = signed_in(user).get("/moderation/jobs/").content.decode().partition("keys-list")
        for keys in SHORTCUTS.values():
            for words in keys.values():
                assert f"<dt>{words}</dt>" in dialog[2]
        for place in PLACES:
            shown = f"<dt>{place.label}</dt>" in dialog[2]
            assert shown == user.has_perm(place.permission)


def palette(client: Client, text: str) -> str:
    return client.get("/moderation/palette/", {"q": text}).content.decode()


def test_saved_views_are_found_by_name(viewer: User, moderator: User) -> None:
    SavedView.objects.create(owner=moderator, name="Long ones", query="duration_min=300")
    shared = SavedView.objects.create(
        owner=moderator, name="Long and reported", query="reported=1", is_shared=True
    )
    client = signed_in(viewer)
    found = palette(client, "LONG")
    assert f'href="/moderation/videos/?reported=1&amp;saved={shared.pk}"' in found
    assert "Long and reported" in found
    assert "Long ones" not in found
    assert "Long ones" in palette(signed_in(moderator), "long")
    assert "Saved views" not in palette(client, "nothing of that name")
    assert palette(client, " ").strip() == ""


def test_every_key_cap_on_a_page_names_a_key_that_works_there() -> None:
    wrong = []
    for template in (ROOT / "templates").rglob("*.html"):
        html = template.read_text()
        caps = re.findall(r'<kbd class="needs-js"[^>]*>([^<{]+)</kbd>', html)
        taken = re.findall(r'data-key="([^"]+)"', html)
        keys = [cap[-1].upper() if cap.startswith("Shift ") else cap for cap in caps]
        wrong += [(template.name, key) for key in keys if key not in taken]
    assert wrong == []
