"""`manage.py backfill_video_metadata`: its options, what it says, its exit statuses."""

import getpass
import io
import json
from collections.abc import Callable
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from chat.models import ActivityLog, Attachment, Conversation
from chat.services.activity import Actor
from moderation import steering
from moderation.models import Job
from moderation.queues import JOBS
from moderation.steering import Pace
from tests.moderation.installation import installation

pytestmark = pytest.mark.every_database
MakeVideo = Callable[..., Attachment]
transactional = pytest.mark.django_db(transaction=True)


def run(*arguments: str) -> tuple[int, str]:
    """Exit status and standard output."""
    output = io.StringIO()
    try:
        call_command("backfill_video_metadata", *arguments, stdout=output)
    except SystemExit as end:
        return int(end.code or 0), output.getvalue()
    return 0, output.getvalue()


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"not a video at all" * 100)
    return path


@transactional
def test_all_ready(legacy_video: MakeVideo) -> None:
    legacy_video()
    legacy_video()
    status, output = run()
    assert status == 0
    job = Job.objects.get()
    first, last = output.splitlines()
    assert first == f"Job {job.pk}: videos without metadata."
    assert last.startswith("2 ready, 0 skipped, 0 failed in ")
    assert (job.status, job.started_from, job.total) == ("done", "command", 2)
    started = ActivityLog.objects.get(action="job_started")
    assert started.actor_name == f"backfill_video_metadata ({getpass.getuser()})"


@transactional
def test_nothing_to_do() -> None:
    status, output = run()
    assert status == 0
    assert output.splitlines()[-1].startswith("0 ready, 0 skipped, 0 failed in ")


@transactional
def test_some_failed(legacy_video: MakeVideo, broken: Path) -> None:
    bad = legacy_video(broken, original_name="bad\x1b[2J.mp4")
    legacy_video()
    status, output = run()
    assert status == 1
    _, first, counts, hint = output.splitlines()
    assert first.split() == [str(bad.pk), "not_a_video:", "bad�[2J.mp4"]
    assert counts.startswith("1 ready, 0 skipped, 1 failed (1 not_a_video) in ")
    assert f"manage.py jobs retry {Job.objects.get().pk}" in hint


@transactional
def test_json_is_one_object_and_nothing_else(legacy_video: MakeVideo, broken: Path) -> None:
    bad = legacy_video(broken, original_name="bad.mp4")
    legacy_video()
    status, output = run("--json")
    assert status == 1
    result = json.loads(output)
    assert result.pop("seconds") > 0
    assert result["failures"][0].pop("detail")
    assert result.pop("created_at") < result.pop("finished_at")
    assert result == {
        "job": Job.objects.get().pk,
        "kind": "metadata",
        "status": "done",
        "scope": "videos without metadata",
        "started_by": f"backfill_video_metadata ({getpass.getuser()})",
        "total": 2,
        "ready": 1,
        "failed": 1,
        "dead": 0,
        "skipped": 0,
        "waiting": 0,
        "workers_now": 0,
        "rate_per_second": None,
        "eta_seconds": None,
        "error": "",
        "skipped_by_reason": {},
        "failed_by_code": {"not_a_video": 1},
        "failures": [
            {
                "id": bad.pk,
                "original_name": "bad.mp4",
                "code": "not_a_video",
                "state": "failed",
            }
        ],
    }


@transactional
@pytest.mark.parametrize(("only", "total"), [("missing", 1), ("failed", 1), ("all", 3)])
def test_only(only: str, total: int, legacy_video: MakeVideo, broken: Path) -> None:
    legacy_video()
    legacy_video(broken)
    run()
    legacy_video()
    assert json.loads(run("--only", only, "--json")[1])["total"] == total


@transactional
def test_limit_takes_the_oldest(legacy_video: MakeVideo) -> None:
    videos = [legacy_video() for _ in range(3)]
    assert json.loads(run("--limit", "2", "--json")[1])["ready"] == 2
    left = Attachment.objects.needing_metadata().values_list("pk", flat=True)
    assert list(left) == [videos[2].pk]


@transactional
def test_conversation_by_id_and_by_title(
    legacy_video: MakeVideo, conversation: Conversation
) -> None:
    other = Conversation.objects.create(title="Other")
    legacy_video()
    legacy_video(conversation=other)
    for name in (str(conversation.pk), "Holiday"):
        result = json.loads(run("--conversation", name, "--json", "--only", "all")[1])
        assert (result["total"], result["scope"]) == (1, "all videos in “Holiday”")


@transactional
def test_an_unknown_or_ambiguous_conversation_is_a_usage_error(
    conversation: Conversation,
) -> None:
    Conversation.objects.create(title="Holiday")
    for name, words in (("nowhere", "no conversation"), ("Holiday", "Several")):
        with pytest.raises(CommandError, match=words) as caught:
            run("--conversation", name)
        assert caught.value.returncode == 2
    assert not Job.objects.exists()


@transactional
def test_any_kind(legacy_video: MakeVideo) -> None:
    legacy_video()
    run()
    result = json.loads(run("--kind", "storyboards", "--json")[1])
    assert (result["kind"], result["ready"]) == ("storyboards", 1)
    assert Attachment.objects.get().renditions.filter(kind="storyboard").exists()


@transactional
def test_a_kind_that_this_machine_cannot_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat.services.fingerprinting.missing_because", lambda: "No compiler.")
    with pytest.raises(CommandError, match=r"No compiler\.") as caught:
        run("--kind", "fingerprints")
    assert caught.value.returncode == 3
    assert not Job.objects.exists()


@transactional
def test_filters_are_those_of_the_list_of_videos(legacy_video: MakeVideo) -> None:
    legacy_video(original_name="beach.mp4")
    wanted = legacy_video(original_name="mountain.mp4", duration=61)
    arguments = ("--scope-filter", "q=mountain", "--scope-filter", "duration_min=1:00")
    result = json.loads(run(*arguments, "--json")[1])
    assert result["scope"] == ("videos without metadata, matches “mountain”, 1 min or longer")
    assert list(Attachment.objects.ready()) == [wanted]


@transactional
@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["colour=red"], r"no filter 'colour'; the names are .*codec.*uploader"),
        (["codec"], "has no value"),
        (["codec="], "has no value"),
        (["q=a", "q=b"], "q is given twice"),
        (["codec=hevc"], "codec is one of h264"),
        (["state=great"], "state is one of ready, failed, pending, processing"),
        (["duration_min=long"], "“long” is not a length: write 90, 1:30 or 5 min"),
        (["date_from=yesterday"], "Write it as 2024-12-31"),
        (["duration_min=2:00", "duration_max=1:00"], "shortest length is longer"),
    ],
)
def test_a_wrong_filter_says_what_would_be_right(
    pairs: list[str], words: str, legacy_video: MakeVideo
) -> None:
    legacy_video()
    run()
    jobs = Job.objects.count()
    with pytest.raises(CommandError, match=words) as caught:
        run(*(f"--scope-filter={pair}" for pair in pairs))
    assert caught.value.returncode == 2
    assert Job.objects.count() == jobs


@transactional
@pytest.mark.parametrize(
    "text",
    ["{0}\n{1}\n", "\ufeffID;name\r\n{0};a\r\n\r\n{1};b\r\n", 'name,id\n"a\nb",{0}\nc, {1}'],
)
def test_ids_from_a_file(text: str, legacy_video: MakeVideo, tmp_path: Path) -> None:
    videos = [legacy_video() for _ in range(3)]
    source = tmp_path / "ids.csv"
    source.write_bytes(text.format(videos[2].pk, videos[0].pk).encode())
    result = json.loads(run("--ids", str(source), "--json")[1])
    assert (result["scope"], result["ready"]) == ("2 selected videos without metadata", 2)
    assert list(Attachment.objects.needing_metadata()) == [videos[1]]


@transactional
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"1\n2\nthree\n", "line 3: 'three' is not an id"),
        (b"name,id\na,1\nb\n", "line 3: '' is not an id"),
        (b"0\n", "line 1: '0' is not an id"),
        (b"-5\n", "line 1: '-5' is not an id"),
        (b"99999999999999999999\n", "line 1: '9+' is not an id"),
        ("²\n".encode(), "line 1: '²' is not an id"),
        (b"1\n\xff\n", "line 2 is not UTF-8"),
        (b"id\n", "no id in it"),
        (b"", "no id in it"),
    ],
)
def test_bad_ids_say_where(content: bytes, words: str, tmp_path: Path) -> None:
    source = tmp_path / "ids.csv"
    source.write_bytes(content)
    with pytest.raises(CommandError, match=words) as caught:
        run("--ids", str(source))
    assert caught.value.returncode == 2
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        run("--ids", str(tmp_path / "none.csv"))


@transactional
def test_pace_is_kept_with_the_job(legacy_video: MakeVideo) -> None:
    legacy_video()
    run("--workers", "1", "--rate", "50", "--window", "00:00-23:59")
    job = Job.objects.get()
    assert Pace.of(job) == Pace(1, 50.0, time(0, 0), time(23, 59))
    details = ActivityLog.objects.get(action="job_started").details
    assert details["pace"] == "1 worker, at most 50 a second, from 00:00 to 23:59"


@transactional
def test_rate_bounds_the_speed(legacy_video: MakeVideo) -> None:
    for _ in range(5):
        legacy_video()
    result = json.loads(run("--rate", "2", "--json")[1])
    assert result["ready"] == 5
    assert result["seconds"] >= 2  # the last of five begins after four half seconds


@transactional
def test_detached_it_waits_for_the_consumers(legacy_video: MakeVideo) -> None:
    legacy_video()
    JOBS.flush()
    status, output = run("--detach")
    job = Job.objects.get()
    assert (status, job.status) == (0, "planning")
    assert f"manage.py jobs show {job.pk}" in output
    assert JOBS.pending_count() > 0
    JOBS.flush()
    assert json.loads(run("--resume", str(job.pk), "--json")[1])["ready"] == 1


@transactional
def test_what_cannot_be_resumed(legacy_video: MakeVideo) -> None:
    legacy_video()
    run()
    job = Job.objects.get()
    for arguments, words in [
        ((str(job.pk),), f"Job {job.pk} has ended: done"),
        ((str(job.pk + 1),), f"no job {job.pk + 1}"),
        ((str(job.pk), "--only", "all"), "goes without --only"),
        ((str(job.pk), "--dry-run"), "--dry-run starts none"),
    ]:
        with pytest.raises(CommandError, match=words) as caught:
            run("--resume", *arguments)
        assert caught.value.returncode == 2


@transactional
def test_resumed_at_another_pace(legacy_video: MakeVideo) -> None:
    legacy_video()
    run("--detach", "--rate", "1", "--window", "22:00-06:00")
    job = Job.objects.get()
    steering.pause(job, Actor())
    status, output = run("--resume", str(job.pk), "--window", "none", "--rate", "30")
    assert (status, output.splitlines()[0]) == (
        0, f"Job {job.pk}: videos without metadata; at most 30 a second.",
    )  # fmt: skip
    JOBS.flush()


@transactional
def test_nothing_in_the_way_of_a_machine_in_trouble(
    legacy_video: MakeVideo, settings: Any
) -> None:
    legacy_video()
    settings.MEDIA_ENGINE, settings.FFPROBE_BINARY = "ffmpeg", "/nowhere/ffprobe"
    settings.MEDIA_SANDBOX = "off"
    status, output = run()
    job = Job.objects.get()
    assert (status, job.status) == (3, "paused")
    assert f"Job {job.pk} is paused with 1 to go, for the machine could not go on: " in output
    assert f"manage.py backfill_video_metadata --resume {job.pk}" in output


@transactional
@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--workers=0", "'0' is not a whole number from 1 on"),
        ("--workers=two", "'two' is not a whole number"),
        ("--workers=1001", "out of range: 1 to 1000"),
        ("--rate=0", "'0' is not a number above 0"),
        ("--rate=nan", "'nan' is not a number above 0"),
        ("--rate=1e9", "out of range"),
        ("--window=22-06", "'22-06' is no part of the day: write it as 22:00-06:00"),
        ("--window=25:00-06:00", "no part of the day"),
        ("--window=06:00-06:00", "The hours end when they begin"),
        ("--kind=all", "invalid choice: 'all'"),
        ("--until=0", "'0' is not a whole number"),
        (f"--limit={2**63}", "is not a whole number"),
        ("--resume=-1", "'-1' is not a whole number"),
    ],
)
def test_what_makes_no_sense_is_refused(argument: str, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run(argument)
    assert not Job.objects.exists()


def test_usage_errors_have_status_2(tmp_path: Path) -> None:
    with installation(tmp_path / "data") as site:
        site.manage("backfill_video_metadata", "--limit", "0", status=2)
        site.manage("backfill_video_metadata", "--limit", "many", status=2)
        site.manage("backfill_video_metadata", "--only", "some", status=2)
        site.manage("backfill_video_metadata", "--follow", "--inline", status=2)
        site.manage("backfill_video_metadata", "--conversation", "nowhere", status=2)
        assert site.value("SELECT count(*) FROM moderation_job") == 0
