"""Taking received files into the system, and out of it again.

``stored`` is the one way in: the upload view and the message view use it.  The slow half (reading
the video, moving files) happens outside any transaction; rows and log entries follow in one.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Model

from chat.errors import ChatError, VideoError
from chat.models import ActivityLog, Attachment, Conversation, Message, Participant, Visitor
from chat.moderated import held_reason
from chat.rendition import Rendition
from chat.services import activity, wakeups
from chat.services.activity import Actor
from chat.services.examination import ExaminedVideo
from chat.services.file_kinds import OPAQUE, sniff
from chat.services.images import ExaminedImage, examine_image
from chat.services.local_files import delete_files, storage_failure
from chat.services.uploads import ReceivedFile
from chat.services.video_service import VideoProcessingService, store_poster

# Outcomes that say "some other kind of file"; any other failure is a video that cannot be read.
NOT_VIDEO = {"not_a_video", "unsupported_container", "no_video_stream"}


@contextlib.contextmanager
def stored(
    files: Sequence[ReceivedFile], conversation: Conversation, actor: Actor, *, only_videos: bool
) -> Iterator[list[Attachment]]:
    """Unsaved attachments whose files are in the storage; all deleted again if the block raises.

    A file that is a video by its content takes the video road, whatever its name says; others
    are refused when ``only_videos``.

    Raises:
        VideoError: the first file's that is refused; none is kept then.
    """
    examined = [(file, examine(file, only_videos)) for file in files]
    attachments: list[Attachment] = []
    try:
        for file, found in examined:
            attachment = Attachment(
                conversation=conversation,
                uploaded_by=actor.user,
                original_name=file.name,
                size=file.size,
                sha256=file.sha256,
            )
            attachments.append(attachment)
            keep(attachment, file, found)
        yield attachments
    except BaseException:
        for attachment in attachments:
            delete_files([attachment.file, attachment.thumbnail])
        raise


Found = ExaminedVideo | ExaminedImage | tuple[str, str]


def examine(file: ReceivedFile, only_videos: bool) -> Found:
    """The video or the picture that the file is, else its kind and content type.

    Raises:
        VideoError: why it is refused.
    """
    kind = sniff(file.path)
    if kind[0] == Attachment.Kind.IMAGE and not only_videos:
        # What no picture can be read from is not shown as one.
        return examine_image(file.path) or OPAQUE
    try:
        return VideoProcessingService().examine(file.path)
    except VideoError as error:
        if only_videos or error.code not in NOT_VIDEO:
            raise
        return kind


def keep(attachment: Attachment, file: ReceivedFile, found: Found) -> None:
    """Move the file (and its small picture) into the storage and set what is known."""
    try:
        attachment.file.save(file.name or "", file, save=False)
    except OSError as error:
        raise storage_failure(error) from error
    match found:
        case ExaminedVideo():
            attachment.mark_ready(found.metadata, store_poster(found.poster))
        case ExaminedImage():
            thumbnail = store_poster(found.thumbnail)
            attachment.describe_image(found.content_type, found.width, found.height, thumbnail)
        case kind, content_type:
            attachment.kind, attachment.content_type = kind, content_type


def nothing_else(_kept: Model) -> None:
    """What is done in the transaction that keeps an upload, beside that."""


def upload(
    file: ReceivedFile,
    conversation: Conversation,
    actor: Actor,
    *,
    only_videos: bool,
    also: Callable[[Attachment], None] = nothing_else,
) -> Attachment:
    """Keep one file that is not (yet) part of a message; ``also`` is called in the transaction.

    Raises:
        VideoError: why it is refused; nothing is kept then.
        ChatError: ``not_found`` when the uploader left the conversation meanwhile.
    """
    with (
        stored([file], conversation, actor, only_videos=only_videos) as (attachment,),
        transaction.atomic(),
    ):
        require_participant(conversation, actor)
        save(attachment, actor)
        also(attachment)
    return attachment


def save(attachment: Attachment, actor: Actor, message: Message | None = None) -> None:
    """Write row and log entry, in the caller's transaction; quarantined where moderators hold
    these bytes."""
    attachment.message = message
    details = hold_known_bytes(attachment)
    attachment.save(force_insert=True)
    activity.record(ActivityLog.Action.ATTACHMENT_UPLOADED, actor, attachment, details=details)
    if attachment.is_ready:
        wakeups.video_became_ready(attachment)


def hold_known_bytes(attachment: Attachment) -> dict[str, str]:
    """Quarantine an unsaved attachment whose bytes are held; what the log is to say of it."""
    reason = held_reason(attachment.sha256)
    if not reason:
        return {}
    attachment.visibility = Attachment.Visibility.QUARANTINED
    attachment.decision_reason = reason
    return {"quarantined_as": reason}


def require_participant(conversation: Conversation, actor: Actor) -> None:
    """Look again, in the transaction: reading the upload took its time.

    Raises:
        ChatError: ``not_found``.
    """
    hold(conversation.pk)
    if not Participant.objects.current().of(owner_of(actor), conversation.pk).exists():
        raise ChatError("not_found")


def hold(conversation_id: int) -> None:
    """Lock the conversation for the caller's transaction, before anything in it is.

    Who deletes it, or ends a participation, locks it first too: of two that lock in different
    orders and wait for each other PostgreSQL ends one with an error.

    Raises:
        ChatError: ``not_found`` when it was deleted meanwhile.
    """
    # Not against rows that refer to it: those are inserted all the time.
    rows = Conversation.objects.select_for_update(no_key=True)
    if not rows.filter(pk=conversation_id).exists():
        raise ChatError("not_found")


def owner_of(actor: Actor) -> User:
    assert actor.user is not None  # noqa: S101  (uploads are a person's)
    return actor.user


def record_refusal(error: ChatError, actor: Actor, conversation: Conversation | None) -> None:
    """Tell the log that an upload was refused; of the person, if no conversation is known."""
    subject = conversation or actor.user
    if subject is not None:
        activity.record(
            ActivityLog.Action.ATTACHMENT_REFUSED,
            actor,
            subject,
            outcome=ActivityLog.Outcome.REFUSED,
            details={"code": error.code},
        )


def delete(attachment: Attachment, actor: Actor) -> None:
    """Delete row and files.

    Raises:
        ChatError: ``permission_denied`` unless the actor uploaded it or owns the conversation;
            ``quarantined`` while moderators hold it back, ``must_be_kept`` while its bytes are
            under hold.
    """
    with transaction.atomic():
        hold(attachment.conversation_id)
        locked = Attachment.objects.select_for_update().filter(pk=attachment.pk).first()
        if locked is None:
            raise ChatError("not_found")
        if locked.uploaded_by_id != (actor.user and actor.user.pk) and not owns(
            actor, locked.conversation_id
        ):
            raise ChatError("permission_denied")
        if locked.visibility == Attachment.Visibility.QUARANTINED:
            raise held_back(locked, actor.user)
        if locked.keeps_its_bytes:
            raise ChatError("must_be_kept")
        delete_rows([locked], actor)


def delete_rows(attachments: Iterable[Attachment], actor: Actor) -> None:
    """Delete rows that the caller's transaction has locked, and their files when it commits."""
    attachments = list(attachments)
    for attachment in attachments:
        activity.record(ActivityLog.Action.ATTACHMENT_DELETED, actor, attachment)
    after_commit = files_deleter(attachments)
    Attachment.objects.filter(pk__in=[attachment.pk for attachment in attachments]).delete()
    transaction.on_commit(after_commit, robust=True)


def held_back(attachment: Attachment, user: Visitor | None) -> ChatError:
    """The error for an attachment that moderators hold back: its uploader is told why."""
    code = "removed" if attachment.visibility == Attachment.Visibility.REMOVED else "quarantined"
    if user is None or attachment.uploaded_by_id != user.pk or not attachment.decision_reason:
        return ChatError(code)
    facts = {"reason": attachment.decision_reason, "note": attachment.decision_note}
    return ChatError(code, facts=facts)


def owns(actor: Actor, conversation_id: int) -> bool:
    return (
        actor.user is not None
        and Participant.objects.current()
        .of(actor.user, conversation_id)
        .filter(role=Participant.Role.OWNER)
        .exists()
    )


def files_deleter(attachments: Sequence[Attachment]) -> Callable[[], None]:
    """Deletes the files of rows that are going to be deleted; to be called on commit."""
    files = [
        file for attachment in attachments for file in (attachment.file, attachment.thumbnail)
    ]
    renditions = Rendition.objects.filter(attachment__in=[each.pk for each in attachments])
    files += [rendition.file for rendition in renditions]
    return lambda: delete_files(files)
