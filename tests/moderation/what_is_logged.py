"""What each address, command, task and page of the administration must write to the activity log:
one entry, of this action; or none, for this reason.

``test_completeness`` walks all there are.  Whoever adds one registers it here.
"""

from dataclasses import dataclass, field
from typing import Any

from chat.models import ActivityLog

Action = ActivityLog.Action


@dataclass(frozen=True)
class Told:
    """One entry of ``action``, or none ``because``; as ``who`` of the cast asks for it with
    ``data``, after the ``before`` of test_completeness."""

    action: str = ""
    because: str = ""
    who: str = "owner"
    data: dict[str, Any] = field(default_factory=dict)
    before: str = ""


def one(action: str, /, who: str = "owner", before: str = "", **data: Any) -> Told:
    return Told(action=action, who=who, data=data, before=before)


def none(because: str, /, who: str = "owner", before: str = "", **data: Any) -> Told:
    return Told(because=because, who=who, data=data, before=before)


LISTS = "a list of facts; no video is shown"
PICTURE = "a picture of the list and the player, not the video: playing it is the view"
BLURRED = "what is shown instead of a picture, until somebody asks for it"
FORM = "a form; nothing has happened yet"
NOT_ONES_OWN = "about the one who asks, and no video"
VIEWS = "how a list is looked at; no video changes or is shown"
OPERATION = "about a job or the installation; no video is shown"
PUBLIC = "the same for everybody"
NOT_YET = "nothing is kept in the conversation yet; the last part makes the attachment"

FILE = "a file"  # stands for one in ``data``

ADDRESSES: dict[str, Told] = {
    # --- API ---
    "GET api/chat/videos/": none(LISTS),
    "POST api/chat/videos/upload/": one(Action.ATTACHMENT_UPLOADED, file=FILE, conversation="c"),
    "GET api/chat/videos/<id:attachment_id>/download/": one(Action.ATTACHMENT_DOWNLOADED),
    "GET api/chat/videos/<id:attachment_id>/stream/": one(Action.ATTACHMENT_VIEWED),
    "POST api/chat/upload/": one(Action.ATTACHMENT_UPLOADED, file=FILE, conversation="c"),
    "GET api/chat/quota/": none(NOT_ONES_OWN),
    "POST api/chat/uploads/": none(NOT_YET),
    "PATCH api/chat/uploads/<uuid:upload_id>/": one(Action.ATTACHMENT_UPLOADED, before="upload"),
    "DELETE api/chat/uploads/<uuid:upload_id>/": none(NOT_YET, before="upload"),
    "GET api/chat/attachments/<id:attachment_id>/": none(LISTS),
    "DELETE api/chat/attachments/<id:attachment_id>/": one(Action.ATTACHMENT_DELETED),
    "GET api/chat/attachments/<id:attachment_id>/thumbnail/": none(PICTURE),
    "GET api/chat/attachments/<id:attachment_id>/storyboard/": none(PICTURE),
    "GET api/chat/attachments/<id:attachment_id>/storyboard.vtt": none(PICTURE),
    "GET api/chat/attachments/<id:attachment_id>/preview/": one(Action.ATTACHMENT_VIEWED),
    "POST api/chat/attachments/<id:attachment_id>/report/": one(
        Action.ATTACHMENT_REPORTED, who="member", reason="spam"
    ),
    "GET api/chat/conversations/": none(LISTS),
    "POST api/chat/conversations/": one(Action.CONVERSATION_CREATED, title="New"),
    "GET api/chat/conversations/<id:conversation_id>/": none(LISTS),
    "PATCH api/chat/conversations/<id:conversation_id>/": one(
        Action.CONVERSATION_CHANGED, title="Other"
    ),
    "DELETE api/chat/conversations/<id:conversation_id>/": one(Action.CONVERSATION_DELETED),
    "POST api/chat/conversations/<id:conversation_id>/read/": none(NOT_ONES_OWN),
    "GET api/chat/conversations/<id:conversation_id>/participants/": none(LISTS),
    "POST api/chat/conversations/<id:conversation_id>/participants/": one(
        Action.PARTICIPANT_ADDED, participants=["outsider"]
    ),
    "PATCH api/chat/conversations/<id:conversation_id>/participants/<id:user_id>/": one(
        Action.PARTICIPANT_CHANGED, role="owner"
    ),
    "DELETE api/chat/conversations/<id:conversation_id>/participants/<id:user_id>/": one(
        Action.PARTICIPANT_REMOVED
    ),
    "GET api/chat/conversations/<id:conversation_id>/messages/": none(LISTS),
    "POST api/chat/conversations/<id:conversation_id>/messages/": one(
        Action.MESSAGE_SENT, content="Hello"
    ),
    "GET api/chat/messages/<id:message_id>/": none(LISTS),
    "PATCH api/chat/messages/<id:message_id>/": one(Action.MESSAGE_EDITED, content="Bye"),
    "DELETE api/chat/messages/<id:message_id>/": one(Action.MESSAGE_DELETED),
    "POST api/auth/token/": one(Action.SIGNED_IN, username="owner", password="PASSWORD"),
    "POST api/auth/logout/": one(Action.SIGNED_OUT),
    "POST api/auth/logoutall/": one(Action.SIGNED_OUT),
    "GET api/schema/": none(PUBLIC),
    "GET api/docs/": none(PUBLIC),
    # --- Dashboard ---
    "GET ": none(FORM),
    "GET favicon.ico": none(PUBLIC),
    "GET health/": none(PUBLIC),
    "GET moderation/sign-in/": none(FORM),
    "POST moderation/sign-in/": one(Action.SIGNED_IN, username="owner", password="PASSWORD"),
    "GET moderation/sign-in/code/": none(FORM),
    "POST moderation/sign-in/code/": one(Action.SIGNED_IN, before="second factor", code="CODE"),
    "POST moderation/sign-out/": one(Action.SIGNED_OUT),
    "GET moderation/second-factor/": none(FORM),
    "POST moderation/second-factor/set-up/": none(FORM),
    "POST moderation/second-factor/confirm/": one(
        Action.SECOND_FACTOR_SET, before="key", code="CODE"
    ),
    "POST moderation/second-factor/codes/": one(
        Action.RECOVERY_CODES_MADE, before="second factor", code="CODE"
    ),
    "POST moderation/second-factor/off/": one(
        Action.SECOND_FACTOR_REMOVED, before="second factor", code="CODE"
    ),
    "GET moderation/": none(LISTS, who="admin"),
    "GET moderation/palette/": none(LISTS, who="admin"),
    "GET moderation/videos/": none(LISTS, who="admin"),
    "GET moderation/videos/suggestions/": none(LISTS, who="admin"),
    "GET moderation/videos/export.csv": one(Action.VIDEOS_EXPORTED, who="admin"),
    "GET moderation/videos/decide/": none(FORM, who="admin", action="quarantine", selected=["v"]),
    "POST moderation/videos/decide/now/": one(
        Action.ATTACHMENT_QUARANTINED,
        who="admin",
        action="quarantine",
        reason="spam",
        selected=["v"],
    ),
    "POST moderation/videos/decide/<uuid:batch>/undo/": one(
        Action.DECISION_UNDONE, who="admin", before="decision"
    ),
    "GET moderation/videos/<int:attachment_id>/": one(Action.ATTACHMENT_VIEWED, who="admin"),
    "GET moderation/videos/ahead.json": none(PUBLIC, who="admin"),
    "GET moderation/videos/<int:attachment_id>/opened/": one(
        Action.ATTACHMENT_VIEWED, who="admin"
    ),
    "GET moderation/videos/<int:attachment_id>/stream/": one(
        Action.ATTACHMENT_VIEWED, who="admin"
    ),
    "GET moderation/videos/<int:attachment_id>/preview/": one(
        Action.ATTACHMENT_VIEWED, who="admin"
    ),
    "GET moderation/videos/<int:attachment_id>/thumbnail/": none(PICTURE, who="admin"),
    "GET moderation/videos/<int:attachment_id>/storyboard/": none(PICTURE, who="admin"),
    "GET moderation/videos/<int:attachment_id>/storyboard.vtt": none(PICTURE, who="admin"),
    "GET moderation/videos/<int:attachment_id>/poster/": one(
        Action.ATTACHMENT_VIEWED, who="admin"
    ),
    "POST moderation/videos/<int:attachment_id>/poster/": one(
        Action.POSTER_CHOSEN, who="admin", seconds="0.2"
    ),
    "GET moderation/videos/<int:attachment_id>/probe/": one(Action.ATTACHMENT_VIEWED, who="admin"),
    "GET moderation/videos/<int:attachment_id>/report/": one(
        Action.ATTACHMENT_VIEWED, who="admin"
    ),
    "POST moderation/videos/<int:attachment_id>/revealed/": one(
        Action.ATTACHMENT_VIEWED, who="admin"
    ),
    "GET moderation/blurred/<str:placeholder>.png": none(BLURRED, who="admin"),
    "POST moderation/videos/views/": none(VIEWS, who="admin", name="New"),
    "POST moderation/videos/views/<int:view_id>/": none(VIEWS, who="admin", name="Other"),
    "POST moderation/videos/views/<int:view_id>/delete/": none(VIEWS, who="admin"),
    "POST moderation/protection/": none(NOT_ONES_OWN, who="admin", blur="on"),
    "POST moderation/videos/<int:attachment_id>/decide/": one(
        Action.ATTACHMENT_QUARANTINED,
        who="admin",
        action="quarantine",
        reason="spam",
        version="0",
    ),
    "POST moderation/videos/<int:attachment_id>/undo/<uuid:batch>/": one(
        Action.DECISION_UNDONE, who="admin", before="decision"
    ),
    "GET moderation/reports/": none(LISTS, who="admin"),
    "GET moderation/health/": none(OPERATION, who="admin"),
    "POST moderation/health/self-test/": none(OPERATION, who="outsider"),
    "GET moderation/activity/": none(LISTS, who="admin"),
    "GET moderation/activity/tail/": none(LISTS, who="admin"),
    "GET moderation/activity/export.csv": one(Action.ACTIVITY_EXPORTED, who="admin"),
    "GET moderation/activity/export.jsonl": one(Action.ACTIVITY_EXPORTED, who="admin"),
    "GET moderation/people/": none(LISTS, who="admin"),
    "GET moderation/people/<int:user_id>/": none(LISTS, who="admin"),
    "POST moderation/people/<int:user_id>/roles/": one(
        Action.ROLES_CHANGED, who="admin", role="viewer"
    ),
    "POST moderation/people/<int:user_id>/active/": one(
        Action.ACCOUNT_DEACTIVATED, who="admin", active="0"
    ),
    "POST moderation/people/<int:user_id>/quota/": one(
        Action.QUOTA_CHANGED, who="admin", gigabytes="5"
    ),
    "POST moderation/people/<int:user_id>/second-factor/": one(
        Action.SECOND_FACTOR_REMOVED, who="admin", before="their second factor"
    ),
    "GET moderation/jobs/": none(OPERATION, who="admin"),
    "GET moderation/jobs/new/": none(FORM, who="admin"),
    "GET moderation/jobs/new/estimate/": none(FORM, who="admin"),
    "POST moderation/jobs/start/": one(
        Action.JOB_STARTED, who="admin", kind="verify", selected=["v"]
    ),
    "GET moderation/jobs/running/": none(OPERATION, who="admin"),
    "GET moderation/jobs/<int:job_id>/": none(OPERATION, who="admin"),
    "GET moderation/jobs/<int:job_id>/progress/": none(OPERATION, who="admin"),
    "POST moderation/jobs/<int:job_id>/pause/": one(Action.JOB_PAUSED, who="admin"),
    "POST moderation/jobs/<int:job_id>/resume/": one(
        Action.JOB_RESUMED, who="admin", before="pause"
    ),
    "POST moderation/jobs/<int:job_id>/cancel/": one(Action.JOB_CANCELLED, who="admin"),
    "POST moderation/jobs/<int:job_id>/pace/": one(
        Action.JOB_CHANGED, who="admin", items_per_second="3"
    ),
    "POST moderation/jobs/<int:job_id>/retry/": one(
        Action.JOB_STARTED, who="admin", before="failure"
    ),
    "POST moderation/jobs/<int:job_id>/handled/": one(
        Action.FAILURES_HANDLED, who="admin", before="failure"
    ),
    "GET moderation/jobs/<int:job_id>/failures.csv": none(OPERATION, who="admin"),
    "GET moderation/jobs/<int:job_id>/outcomes.csv": none(OPERATION, who="admin"),
    # --- The administration's own ways in and out ---
    "GET admin/login/": none(FORM),
    "POST admin/login/": one(Action.SIGNED_IN, username="owner", password="PASSWORD"),
    "POST admin/logout/": one(Action.SIGNED_OUT),
    "GET admin/password_change/": none(FORM, who="admin"),
    "POST admin/password_change/": one(
        Action.USER_CHANGED,
        who="admin",
        old_password="PASSWORD",
        new_password1="seven green bottles",
        new_password2="seven green bottles",
    ),
}

# What one can do to the rows of each model; all else there is to look at.
ADMINISTRATION: dict[str, dict[str, str]] = {
    "auth.user": {
        "add": Action.USER_CREATED,
        "change": Action.USER_CHANGED,
        "delete": Action.USER_DELETED,
    },
    "auth.group": {
        "add": Action.GROUP_CREATED,
        "change": Action.GROUP_CHANGED,
        "delete": Action.GROUP_DELETED,
    },
    "chat.conversation": {},
    "chat.message": {},
    "chat.attachment": {},
    "chat.activitylog": {},
    "moderation.job": {},
    "moderation.failure": {},
}

STARTS_WORK = "starts the process that works; what it does is told by the work"
LOOKS = "looks, and changes nothing that the log tells of"
DEMO = "makes conversations and videos by the services that tell of it; see test_seed_demo"

# Command → entries of a run on a small installation, or why there are none to count.
COMMANDS: dict[str, list[str] | str] = {
    "backfill_video_metadata": [
        Action.JOB_STARTED,
        Action.ATTACHMENT_PROCESSED,
        Action.JOB_FINISHED,
    ],
    "import_videos": [Action.ATTACHMENT_IMPORTED],
    "ensure_admin": [Action.USER_CREATED],
    "jobs": [Action.JOB_PAUSED],
    "erase_removed": [Action.ATTACHMENT_ERASED],
    "sweep_files": [],
    "seal_activity_log": [],
    "verify_activity_log": [],
    "media_self_test": LOOKS,
    "seed_demo": DEMO,
    "run_huey": STARTS_WORK,
    "job_worker": STARTS_WORK,
}

# Task → entries of a run; of the periodic ones only the eraser finds something to do.
TASKS: dict[str, list[str]] = {
    "work": [Action.ATTACHMENT_PROCESSED, Action.JOB_FINISHED],
    "make_renditions": [Action.RENDITIONS_MADE],
    "sweep_each_minute": [],
    "sweep_abandoned_uploads": [],
    "sweep_scratch": [],
    "sweep_orphans": [],
    "sweep_all_orphans": [],
    "clear_old_details": [],
    "erase_removed": [Action.ATTACHMENT_ERASED],
    "clear_expired": [],
    "take_statistics": [],
    "recount_figures": [],
    "tell_head_of_activity": [],
}
