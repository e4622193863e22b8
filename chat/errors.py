"""Every error the product names: code, HTTP status, and whether trying again can help.

``OUTCOMES`` is the closed list of what can happen to a video; the API, the backfill, the
dashboard and the guide all use these codes and sentences.  Everything else a client can meet is
in ``API_ERRORS``.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way in which a file is not made ready.

    ``permanent`` outcomes are never tried again by themselves; the others may pass.
    ``user`` is shown to the person who sent the file, ``operator`` to who runs the system.
    """

    code: str
    status: int
    permanent: bool
    user: str
    operator: str


OUTCOMES: dict[str, Outcome] = {
    outcome.code: outcome
    for outcome in (
        Outcome(
            "empty_file",
            422,
            True,
            "The file is empty. Send it again.",
            "The stored file has no bytes.",
        ),
        Outcome(
            "not_a_video",
            415,
            True,
            "This file is not a video. Send MP4, MOV, WebM, MKV, AVI, WMV, FLV, OGV or MPEG.",
            "No listed container format recognises the content.",
        ),
        Outcome(
            "unsupported_container",
            415,
            True,
            "This kind of file is not accepted. "
            "Send MP4, MOV, WebM, MKV, AVI, WMV, FLV, OGV or MPEG.",
            "The content is of a format that is not on the list (playlists and images are not).",
        ),
        Outcome(
            "no_video_stream",
            415,
            True,
            "The file has no moving picture, only sound or a cover image.",
            "The container holds no video stream besides cover art.",
        ),
        Outcome(
            "unsupported_codec",
            422,
            True,
            "The video's codec cannot be read here. Convert it to H.264, VP9 or AV1.",
            "The installed ffmpeg has no decoder for the video stream.",
        ),
        Outcome(
            "corrupt",
            422,
            True,
            "The video file is damaged. Export it again and send the new file.",
            "The container is recognised, but its structure cannot be read.",
        ),
        Outcome(
            "no_decodable_frame",
            422,
            True,
            "No picture could be read from the video. Export it again and send the new file.",
            "The header is readable, but not one frame of the best video stream decodes.",
        ),
        Outcome(
            "encrypted",
            422,
            True,
            "The video is encrypted. Send a copy without copy protection.",
            "The video stream is encrypted (CENC or similar); no frame decodes without the key.",
        ),
        Outcome(
            "too_large",
            413,
            True,
            "The file is larger than is accepted. Send a smaller one.",
            "The file passes UPLOAD_MAX_BYTES.",
        ),
        Outcome(
            "too_long",
            422,
            True,
            "The video is longer than is accepted. Send a shorter one.",
            "The duration passes VIDEO_MAX_DURATION_SECONDS.",
        ),
        Outcome(
            "too_many_pixels",
            422,
            True,
            "The picture is larger than is accepted. Send a lower resolution.",
            "Width times height passes VIDEO_MAX_PIXELS (of a picture: IMAGE_MAX_PIXELS).",
        ),
        Outcome(
            "too_many_streams",
            422,
            True,
            "The file has more tracks than are accepted. Export it with one video track.",
            "The number of streams passes VIDEO_MAX_STREAMS.",
        ),
        Outcome(
            "time_limit",
            422,
            False,
            "The video took too long to read. Try again, or send it in another format.",
            "The work on it passed a limit of wall-clock or processor time, twice.",
        ),
        Outcome(
            "memory_limit",
            422,
            True,
            "The video needs more memory than is allowed. Send it in another format.",
            "The work on it passed MEDIA_MEMORY_BYTES (or STORYBOARD_…, PREVIEW_…).",
        ),
        Outcome(
            "output_limit",
            422,
            True,
            "The video could not be read. Send it in another format.",
            "The media tool wrote more than MEDIA_OUTPUT_BYTES (or STORYBOARD_…, PREVIEW_…).",
        ),
        Outcome(
            "decoder_crashed",
            422,
            True,
            "The video could not be read. Send it in another format.",
            "The media tool was ended by a signal while reading the file.",
        ),
        Outcome(
            "missing_file",
            410,
            True,
            "The file is no longer stored.",
            "The row names a file that the storage does not have.",
        ),
        Outcome(
            "size_differs",
            410,
            True,
            "The file is no longer stored as it was sent.",
            "The stored file has another size than when it was uploaded.",
        ),
        Outcome(
            "hash_differs",
            410,
            True,
            "The file is no longer stored as it was sent.",
            "The stored bytes have another SHA-256 than when they were uploaded.",
        ),
        Outcome(
            "missing_rendition",
            410,
            True,
            "A picture or preview of the video is no longer stored.",
            "A poster, storyboard or preview that a row names is not stored: make it again.",
        ),
        Outcome(
            "worker_lost",
            422,
            True,
            "The video could not be read. Send it in another format.",
            "Workers ended at this file, several times; it is not tried again by itself.",
        ),
        Outcome(
            "storage_error",
            503,
            False,
            "The file could not be stored or read just now. Try again later.",
            "The storage refused or failed; see the log.",
        ),
        Outcome(
            "storage_missing",
            503,
            False,
            "The file could not be read just now. Try again later.",
            "MEDIA_ROOT is missing or empty while rows name files in it: a disk is not mounted.",
        ),
        Outcome(
            "no_room",
            507,
            False,
            "There is no room to store the file. Try again later.",
            "The disk or bucket is full.",
        ),
        Outcome(
            "media_helper_lost",
            503,
            False,
            "Videos cannot be read just now. Try again later.",
            "The media helper of the worker died or did not answer; see the log.",
        ),
        Outcome(
            "media_sandbox_missing",
            503,
            False,
            "Videos cannot be read just now. Try again later.",
            "MEDIA_SANDBOX=require, and this machine lacks a layer; see `manage.py check`.",
        ),
        Outcome(
            "media_tools_missing",
            503,
            False,
            "Videos cannot be read just now. Try again later.",
            "ffmpeg or ffprobe cannot be started: install ffmpeg, or set FFMPEG_BINARY.",
        ),
        Outcome(
            "fingerprints_missing",
            503,
            False,
            "Videos cannot be compared just now. Try again later.",
            "pdqhash is not installed on the worker's machine; see `manage.py check`.",
        ),
    )
}


class ChatError(Exception):
    """Base of every domain error.

    Args:
        code: a key of ``OUTCOMES`` or ``API_ERRORS``; anything else is a programming error.
        message: what happened and what to do, for the person who asked; the table's sentence
            when empty.
        facts: what else the answer says, beside ``detail`` and ``code``.
    """

    def __init__(
        self, code: str, message: str = "", *, facts: Mapping[str, str] | None = None
    ) -> None:
        self.code = code
        self.facts = facts or {}
        self.status, default = self.lookup(code)
        self.message = message or default
        super().__init__(f"{code}: {self.message}")

    @staticmethod
    def lookup(code: str) -> tuple[int, str]:
        """Status and sentence of an API error code."""
        return API_ERRORS[code]


class VideoError(ChatError):
    """A file that could not be made a ready video; ``code`` is a key of ``OUTCOMES``.

    ``detail`` is for operators and the log (the tail of stderr, a limit and a value) and is never
    shown to a client.
    """

    def __init__(self, code: str, detail: str = "", message: str = "") -> None:
        self.outcome = OUTCOMES[code]
        self.permanent = self.outcome.permanent
        self.detail = detail
        super().__init__(code, message)

    @staticmethod
    def lookup(code: str) -> tuple[int, str]:
        outcome = OUTCOMES[code]
        return outcome.status, outcome.user


# Code → (HTTP status, sentence); the codes of the web framework's own errors included.
API_ERRORS: dict[str, tuple[int, str]] = {
    "invalid": (400, "Some fields are not right; see the errors by field."),
    "parse_error": (400, "The request's body could not be read."),
    "incomplete_body": (400, "The connection ended before the whole body had arrived."),
    "too_many_files": (400, "The request carries more files than are taken at once."),
    "unusable_attachments": (
        400,
        "Attachments must be your own uploads in this conversation, not yet part of a message.",
    ),
    "not_reportable": (400, "Only videos can be reported."),
    "not_authenticated": (401, "Sign in first: send the header “Authorization: Token …”."),
    "authentication_failed": (401, "The token or the password is not right, or has expired."),
    "second_factor_required": (
        401,
        "This account has a second factor: send its code too. The one sent, if any, was wrong,"
        " was used before, or came too soon after a wrong one.",
    ),
    "quota_exceeded": (403, "Your files would take more room than you have. Delete some first."),
    "permission_denied": (403, "You may see this, but not do that to it."),
    "not_found": (404, "There is nothing here, or it is not yours to see."),
    "no_rendition": (404, "This video has none of these, or not yet: its address is null."),
    "method_not_allowed": (405, "This address does not take that method; see the Allow header."),
    "not_acceptable": (406, "The answer cannot be given in the format asked for."),
    "must_be_kept": (409, "The moderators keep this for now: it cannot be deleted yet."),
    "last_owner": (409, "A conversation keeps an owner: make someone else owner first."),
    "conflict": (409, "Someone changed this meanwhile. Load it again."),
    "offset_conflict": (409, "Upload-Offset is not how far the upload is. Ask with HEAD."),
    "request_in_progress": (409, "A request with this Idempotency-Key is being answered."),
    "upload_expired": (410, "The upload was not finished in time. Begin it anew."),
    "precondition_failed": (412, "It is not, or no longer, what If-Match asks for."),
    "unsupported_tus_version": (412, "Send the header “Tus-Resumable: 1.0.0”."),
    "unsupported_media_type": (415, "The request's Content-Type is not taken here."),
    "range_not_satisfiable": (416, "The range asked for lies outside the file."),
    "idempotency_mismatch": (422, "The Idempotency-Key was used for another request."),
    "upload_locked": (423, "Another request is writing to this upload. Try again in a moment."),
    "locked_out": (
        429,
        "Too many failed attempts to sign in to this account from this address. "
        "Wait as long as Retry-After says.",
    ),
    "too_many_uploads": (429, "You have too much on its way. Finish or end some uploads first."),
    "throttled": (429, "Too many requests. Wait as long as Retry-After says."),
    "quarantined": (451, "This video is held back by the moderators."),
    "removed": (451, "This video was removed by the moderators."),
    "checksum_mismatch": (460, "The bytes do not match Upload-Checksum. Send them again."),
    "server_error": (500, "Something failed on our side. It has been logged."),
}
