"""Decisions on attachments: what each verb changes, versions, many at once; on each database."""

import json
from pathlib import Path
from typing import Any

import pytest

from chat.models import ActivityLog, Attachment, Conversation, HeldContent
from chat.services.activity import Actor
from moderation import decisions, undoing
from moderation.verdict import DecidedMeanwhile, Verdict
from tests.moderation.deciding import QUARANTINE, REMOVE, SHA, decide, log, state
from tests.moderation.installation import installation
from tests.moderation.pages import video

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.every_database]


def test_a_quarantine_says_who_why_and_when(clip: Attachment, anna: Actor) -> None:
    decision = decide(clip, QUARANTINE, anna)

    assert (clip.visibility, clip.decision_reason, clip.decision_version) == (
        "quarantined", "violence", 1,
    )  # fmt: skip
    assert clip.decision_note == "Cut the last scene."
    decision.refresh_from_db()
    assert (decision.decided_by, decision.decided_by_name) == (anna.user, "moderator")
    assert (decision.internal_note, decision.sha256, decision.version) == ("seen in full", SHA, 1)
    (entry,) = ActivityLog.objects.all()
    assert (entry.action, entry.actor, entry.object_id) == (
        "attachment_quarantined", anna.user, clip.pk,
    )  # fmt: skip
    assert entry.ip_address == "192.0.2.7"
    assert (entry.details["reason"], entry.details["from"]) == ("violence", "visible")


def test_each_verb_writes_one_entry(clip: Attachment, anna: Actor) -> None:
    for verb in ("quarantine", "restore", "remove", "hold", "release", "restore"):
        decide(clip, Verdict(verb, "spam"), anna)

    assert log() == [
        "attachment_quarantined", "attachment_restored", "attachment_removed", "hold_set",
        "hold_released", "attachment_restored",
    ]  # fmt: skip
    assert state(clip) == {
        "visibility": "visible", "decision_reason": "", "decision_note": "", "on_hold": False,
        "removed_at": None,
    }  # fmt: skip
    assert clip.decision_version == 6


@pytest.mark.parametrize(
    ("verb", "fields"),
    [
        ("quarantine", {"visibility": "quarantined"}),
        ("restore", {}),
        ("remove", {"visibility": "removed"}),
        ("hold", {"on_hold": True}),
        ("release", {}),
        ("dismiss", {}),
        ("restore", {"visibility": "removed", "erased_at": "2026-01-01T00:00Z"}),
        ("quarantine", {"visibility": "removed", "erased_at": "2026-01-01T00:00Z"}),
        ("hold", {"visibility": "removed", "erased_at": "2026-01-01T00:00Z"}),
    ],
)
def test_what_would_change_nothing_is_not_decided(
    conversation: Conversation, anna: Actor, verb: str, fields: dict[str, Any]
) -> None:
    attachment = video(conversation, **fields)

    outcome = decisions.decide(attachment.pk, 0, Verdict(verb, "spam"), anna)

    assert (outcome.unchanged, outcome.decided) == ([attachment.pk], [])
    assert not ActivityLog.objects.exists()


@pytest.mark.parametrize(
    ("action", "reason"), [("quarantine", ""), ("remove", "x"), ("undo", "spam"), ("", "spam")]
)
def test_nonsense_is_no_verdict(action: str, reason: str) -> None:
    with pytest.raises(ValueError, match="is not one of"):
        Verdict(action, reason)


def test_the_second_of_two_learns_what_the_first_decided(
    clip: Attachment, anna: Actor, bert: Actor
) -> None:
    decide(clip, QUARANTINE, anna)

    with pytest.raises(DecidedMeanwhile) as late:
        decisions.decide(clip.pk, 0, REMOVE, bert)

    assert late.value.latest
    assert late.value.latest.decided_by_name == "moderator"
    assert late.value.latest.action == "quarantine"
    assert state(clip)["visibility"] == "quarantined"
    assert log() == ["attachment_quarantined"]


# In an installation's shell: its database is a file or a server, and each thread has a connection.
RACE = """
import json, threading
from django.contrib.auth.models import User
from chat.models import *
from chat.services.activity import Actor
from moderation import decisions
from moderation.models import Decision
from moderation.verdict import DecidedMeanwhile, Outcome, Verdict

conversation = Conversation.objects.create(title="Race")
people = [User.objects.create_user(name) for name in ("anna", "bert")]
verdicts = [Verdict("quarantine", "violence"), Verdict("remove", "illegal")]

def decide(number, ids, ready, results):
    try:
        ready.wait()
        copies = dict.fromkeys(ids[1:], 0)
        results[number] = decisions.decide(
            ids[0], 0, verdicts[number], Actor(user=people[number]), copies=copies
        )
    except Exception as error:
        results[number] = error
    finally:
        connection.close()

rounds = []
for _ in range(8):
    ids = [
        Attachment.objects.create(
            conversation=conversation, kind="video", size=1, sha256="ab" * 32, file="x"
        ).pk
        for _ in range(4)
    ]
    ready, results = threading.Barrier(2, timeout=30), {}
    threads = [
        threading.Thread(target=decide, args=(number, ids, ready, results)) for number in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    rounds.append({
        "late": [
            [each.latest.attachment_id == ids[0], each.latest.action]
            for each in results.values()
            if isinstance(each, DecidedMeanwhile)
        ],
        "done": [
            [each.decided[0].action, len(each.decided), len(each.overtaken)]
            for each in results.values()
            if isinstance(each, Outcome)
        ],
        "errors": [repr(each) for each in results.values()],
        "rows": sorted(
            Attachment.objects.filter(pk__in=ids)
            .order_by().values_list("visibility", "decision_version").distinct()
        ),
        "decisions": Decision.objects.filter(attachment__in=ids).count(),
        "entries": ActivityLog.objects.filter(object_type="attachment", object_id__in=ids).count(),
    })
print(json.dumps(rounds))
"""


def test_of_two_at_the_same_moment_one_decides(tmp_path: Path) -> None:
    with installation(tmp_path / "data") as site:
        rounds = json.loads(site.python(RACE))
    for found in rounds:
        (winner,) = found["done"]
        (late,) = found["late"]
        assert late == [True, winner[0]], found  # and it is told what the other decided
        assert winner[1:] == [4, 0], found
        became = {"quarantine": "quarantined", "remove": "removed"}[winner[0]]
        assert found["rows"] == [[became, 1]]
        assert (found["decisions"], found["entries"]) == (4, 4)


class TestMany:
    def test_in_batches_with_versions(
        self,
        conversation: Conversation,
        anna: Actor,
        bert: Actor,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(decisions, "AT_ONCE", 2)
        clips = [video(conversation) for _ in range(5)]
        decide(clips[1], Verdict("hold"), bert)
        decide(clips[2], QUARANTINE, bert)

        outcome = decisions.decide_many(
            {**{each.pk: 0 for each in clips[:2]}, **{each.pk: None for each in clips[2:]}, 0: 0},
            QUARANTINE,
            anna,
        )

        assert [d.attachment_id for d in outcome.decided] == [
            clips[0].pk, clips[3].pk, clips[4].pk,
        ]  # fmt: skip
        assert list(outcome.overtaken) == [clips[1].pk]
        assert (outcome.unchanged, outcome.gone) == ([clips[2].pk], [0])
        assert len({d.batch for d in outcome.decided}) == 1
        undone = undoing.undo(outcome.batch, anna)
        assert len(undone.decided) == 3
        assert set(Attachment.objects.values_list("visibility", flat=True)) == {
            "visible", "quarantined",
        }  # fmt: skip

    def test_the_queries_do_not_grow_with_the_videos(
        self, conversation: Conversation, anna: Actor, django_assert_max_num_queries: Any
    ) -> None:
        ids = [video(conversation, sha256=f"{n:064}").pk for n in range(100)]
        with django_assert_max_num_queries(16):
            assert len(decisions.decide_many(ids, QUARANTINE, anna).decided) == 100
        assert ActivityLog.objects.count() == HeldContent.objects.count() == 100
