"""The demo as a person meets it: in an installation of its own, then backfilled."""

import re
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from chat.models import Conversation
from moderation import demo, demo_clips
from tests.moderation.installation import installation
from tests.moderation.short_demo import SEED


def test_an_empty_installation_is_filled_once_and_backfills(tmp_path: Path) -> None:
    with installation(tmp_path / "data") as site:
        output = site.python(SEED)
        passwords = dict(re.findall(r"^  (\w+) +((?:\w{4}-){3}\w{4})", output, re.MULTILINE))
        assert set(passwords) == set(demo.PEOPLE)
        stored = str(site.query("SELECT password FROM auth_user"))
        assert not [password for password in passwords.values() if password in stored]
        check = "User.objects.get(username={!r}).check_password({!r})"
        check = f"from django.contrib.auth.models import User; print({check})"
        assert site.python(check.format("mara", passwords["mara"])) == "True"
        roles = site.query(
            "SELECT username, name FROM auth_user_groups JOIN auth_user ON user_id ="
            " auth_user.id JOIN auth_group ON group_id = auth_group.id"
            " WHERE username != 'admin' ORDER BY 1"
        )
        assert roles == [("malik", "moderator"), ("olivia", "operator"), ("vera", "viewer")]

        states = "SELECT processing_state, count(*) FROM chat_attachment GROUP BY 1 ORDER BY 1"
        ((_, legacy), (_, ready)) = site.query(states)
        skipped = output.count("Left out: ")
        assert legacy + ready + skipped == 24
        assert legacy >= 6
        assert not list((site.data_dir / "incoming").iterdir())

        again = site.manage("seed_demo", status=1)
        assert again == ""
        assert site.query(states) == [("pending", legacy), ("ready", ready)]

        result = site.manage_json("backfill_video_metadata", status=1)
        assert (result["ready"], result["failed"]) == (legacy - 2, 2)
        assert result["failed_by_code"] == {"no_decodable_frame": 1, "not_a_video": 1}
        if not skipped:
            codecs = set(site.query("SELECT DISTINCT codec FROM chat_attachment"))
            assert codecs - {""} == {
                "h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg2video", "theora", "mjpeg",
                "wmv2", "prores",
            }  # fmt: skip
        turned = "SELECT width, height, rotation FROM chat_attachment WHERE rotation != 0"
        assert site.query(turned) == [(720, 1280, 90)]


def test_an_encoder_that_is_missing_is_left_out_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blink = next(recipe for recipe in demo_clips.RECIPES if recipe.name == "blink.webm")
    theora = next(recipe for recipe in demo_clips.RECIPES if recipe.codec == "theora")
    monkeypatch.setattr(demo_clips, "RECIPES", (blink, theora))
    monkeypatch.setitem(demo_clips.ENCODERS, "theora", (("libnothing", ""),))
    made = demo_clips.make_clips(tmp_path)
    assert set(made.clips) == {"blink.webm", demo_clips.PLAYLIST_NAME}
    assert made.skipped == ["nature_loop.ogv: this ffmpeg has no theora encoder"]


def test_a_graph_that_this_ffmpeg_does_not_know_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = demo_clips.Recipe("odd.mp4", "nosuchsource=s=64x64", "h264", 1, silent=True)
    monkeypatch.setattr(demo_clips, "RECIPES", (odd,))
    assert "odd.mp4: " in demo_clips.make_clips(tmp_path).skipped[0]


@pytest.mark.django_db(transaction=True)
def test_a_failure_leaves_neither_rows_nor_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operator: object
) -> None:
    blink = next(recipe for recipe in demo_clips.RECIPES if recipe.name == "blink.webm")
    monkeypatch.setattr(demo_clips, "RECIPES", (blink,))
    talk = demo.Talk("Lab 4", ("elif", "priya"), 1, (
        demo.Line("elif", "", demo_clips.PLAYLIST_NAME, legacy=True),
        demo.Line("elif", "", "blink.webm"),
        demo.Line("nobody", "This person does not exist."),
    ))  # fmt: skip
    monkeypatch.setattr(demo, "TALKS", (talk,))
    monkeypatch.setattr(demo, "PEOPLE", {"elif": "", "priya": ""})
    with pytest.raises(KeyError):
        call_command("seed_demo")
    assert not Conversation.objects.exists()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.django_db
def test_it_refuses_where_there_is_something(conversation: Conversation) -> None:
    with pytest.raises(CommandError, match="--force"):
        call_command("seed_demo")
