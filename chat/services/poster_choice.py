"""A person's choice of the poster: the picture of a time in the video."""

from django.db import transaction

from chat.errors import VideoError
from chat.models import ActivityLog, Attachment
from chat.services import activity
from chat.services.activity import Actor
from chat.services.local_files import local_path
from chat.services.media_engines import engine_for, refuse_unreadable
from chat.services.media_limits import MediaLimits
from chat.services.renditions import POSTER, forget
from chat.services.video_service import store_poster
from chat.services.wakeups import video_became_ready


def choose_poster(attachment: Attachment, seconds: float, actor: Actor) -> None:
    """Make the picture at ``seconds`` the poster of a ready video; what is made of the poster
    (WebP, placeholder) is wanted again.  Processing the video again chooses anew.

    Raises:
        VideoError: why there is no such picture; nothing has changed then.
    """
    with local_path(attachment.file) as path:
        refuse_unreadable(path)
        poster = engine_for(MediaLimits.from_settings()).frame_at(path, seconds)
    storage = attachment.thumbnail.storage
    old, name = attachment.thumbnail.name or "", store_poster(poster)
    try:
        with transaction.atomic():
            attachment.thumbnail.name = name
            # Nothing is shown of the new one until its own stand-in is made.
            attachment.placeholder = ""
            if not attachment.write(["thumbnail", "placeholder"]):
                raise VideoError("missing_file", "the video is gone")
            activity.record(
                ActivityLog.Action.POSTER_CHOSEN,
                actor,
                attachment,
                details={"seconds": round(seconds, 3)},
            )
            forget(attachment, POSTER)
            video_became_ready(attachment)
            if old:
                transaction.on_commit(lambda: storage.delete(old), robust=True)
    except BaseException:
        storage.delete(name)
        raise
