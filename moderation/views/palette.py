"""What the command palette finds on the server: videos, and things by their number."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse

from chat.models import Attachment
from moderation.list_walks import Asked, page_of
from moderation.long_lists import whole_number
from moderation.models import Job, SavedView
from moderation.video_filters import VideoFilter
from moderation.video_listing import listing
from moderation.video_orders import ORDERS
from moderation.views.pages import dashboard_page

VIDEOS, VIEWS = 6, 6


@dataclass(frozen=True, slots=True)
class Option:
    """A line of the palette: where it leads, and what it says."""

    url: str
    icon: str
    words: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    options: list[Option]


@dashboard_page
def palette(request: HttpRequest) -> HttpResponse:
    """Options for ``q``: nothing for nothing."""
    text = request.GET.get("q", "").replace("\0", "").strip()[:200]
    groups = found(request, text) if text else []
    return render(request, "moderation/palette.html", {"groups": groups})


def found(request: HttpRequest, text: str) -> list[Group]:
    groups = [
        Group("By number", by_number(text)),
        Group("Saved views", saved_views(request, text)),
        Group("Videos", videos(text)),
    ]
    return [group for group in groups if group.options]


def by_number(text: str) -> list[Option]:
    """``12`` and ``#12``: the video and the job of that number."""
    number = whole_number(text.removeprefix("#"), 0)
    video = Attachment.objects.videos().filter(pk=number).first() if number else None
    job = Job.objects.filter(pk=number).first() if number else None
    options = []
    if video:
        options.append(video_option(video))
    if job:
        url = reverse("moderation:job", args=[job.pk])
        words = f"Job {job.pk}: {job.get_kind_display()}"
        options.append(Option(url, "list-check", words, job.get_status_display()))
    return options


def saved_views(request: HttpRequest, text: str) -> list[Option]:
    """One's own and the shared ones of that name."""
    views = SavedView.objects.visible_to(request.user).filter(name__icontains=text)[:VIEWS]
    the_list = reverse("moderation:videos")
    return [
        Option(the_list + view.address, "bookmark", view.name, "shared" * view.is_shared)
        for view in views
    ]


def videos(text: str) -> list[Option]:
    """The newest videos that the list's own search finds, and the way to all of them."""
    query = QueryDict(mutable=True)
    query["q"] = text
    every = Attachment.objects.videos()
    found = listing(VideoFilter(query, every), every, ORDERS["added"], descending=True)
    options = [video_option(video) for video in page_of(found, Asked(VIDEOS)).rows]
    everything = f"{reverse('moderation:videos')}?{query.urlencode()}"
    return [*options, Option(everything, "search", f"Search videos for “{text}”")]


def video_option(video: Attachment) -> Option:
    url = reverse("moderation:video", args=[video.pk])
    return Option(url, "movie", video.original_name, f"#{video.pk}")
