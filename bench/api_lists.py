"""The API's lists and one attachment, timed in this process over so many rows; prints JSON.

Who asks is in the conversations of everyone, of many, of a few, or in a single old one: what is
cheap for one of them can be dear for another.
"""

import bench.ready  # noqa: F401, I001  (sets Django up)

import argparse
import json
from time import perf_counter, process_time
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from knox.models import AuthToken
from rest_framework.test import APIClient

from bench.many_videos import fill
from chat.models import Attachment, Conversation, Participant
from config.warm_up import warm_up

# Name → every how many-th conversation they are in.
PEOPLE = {"everywhere": 1, "busy": 20, "usual": 1000}
NEWCOMER = "in one old conversation"


def people(count: int) -> dict[str, APIClient]:
    """Signed-in clients of those who take part in so much."""
    talks = list(Conversation.objects.order_by("id").values_list("id", flat=True))
    clients = {}
    for name, step in {**PEOPLE, NEWCOMER: len(talks)}.items():
        user = User.objects.create_user(name)
        rows = [Participant(conversation_id=talk, user=user) for talk in talks[::step]]
        Participant.objects.bulk_create(rows, batch_size=5_000)
        _record, token = AuthToken.objects.create(user=user)
        clients[name] = APIClient(SERVER_NAME="localhost")
        clients[name].credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return clients


def addresses(user: str) -> dict[str, str]:
    mine = Attachment.objects.visible_to(User.objects.get(username=user)).videos()
    one = mine.order_by("id").first()
    assert one is not None
    return {
        "videos": "/api/chat/videos/",
        "videos, 200 a page": "/api/chat/videos/?page_size=200",
        "videos, failed": "/api/chat/videos/?state=failed",
        "videos, of a conversation": f"/api/chat/videos/?conversation={one.conversation_id}",
        "videos, of an uploader": f"/api/chat/videos/?uploaded_by={one.uploaded_by_id}",
        "videos, of the first year": "/api/chat/videos/?created_before=2022-11-24T00:00:00Z",
        "conversations": "/api/chat/conversations/",
        "messages": f"/api/chat/conversations/{one.conversation_id}/messages/",
        "one attachment": f"/api/chat/attachments/{one.pk}/",
    }


def timed(client: APIClient, address: str, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each, by the clock and of this process; the first is not counted."""
    taken, spent = [], []
    for _ in range(rounds + 1):
        start, start_of_process = perf_counter(), process_time()
        answer = client.get(address)
        taken.append(1000 * (perf_counter() - start))
        spent.append(1000 * (process_time() - start_of_process))
        assert answer.status_code == 200, (address, answer.content[:200])
    return {"ms": taken[1:], "cpu_ms": spent[1:]}


def second_page(client: APIClient, address: str) -> str | None:
    following: str | None = client.get(address).json()["next"]
    return following


def measured(rows: int, rounds: int) -> list[dict[str, Any]]:
    if rows:
        fill(rows)
    call_command("migrate", verbosity=0)
    asking = people(rows)
    warm_up()  # as a web worker does
    found = []
    for name, client in asking.items():
        asked = addresses(name)
        if following := second_page(client, asked["videos"]):
            asked["videos, second page"] = following
        for what, address in asked.items():
            found.append({"who": name, "what": what, **timed(client, address, rounds)})
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=int, help="0: those of the database that is there")
    parser.add_argument("rounds", type=int)
    options = parser.parse_args()
    connection.ensure_connection()
    print(json.dumps(measured(options.rows, options.rounds)))
