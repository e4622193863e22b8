"""With Python and httpx: sign in, upload a video, list a conversation's videos, download it.

USERNAME=anna PASSWORD=… python upload_and_download.py https://nexus.example.org 7 beach.mp4
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

Video = dict[str, Any]
TRIES = 5


class Refused(Exception):
    """``code`` is for the program, the sentence for a person."""

    def __init__(self, answer: httpx.Response) -> None:
        body = answer.json()
        self.code = body.get("code", "invalid")
        super().__init__(body.get("detail") or f"Some fields are not right: {body}")


class Chat:
    def __init__(self, site: str, username: str, password: str) -> None:
        # The answer to an upload comes when the video has been read.
        self.http = httpx.Client(base_url=f"{site}/api/", timeout=120)
        signed_in = self.post("auth/token/", json={"username": username, "password": password})
        self.http.headers["Authorization"] = f"Token {signed_in['token']}"

    def post(self, path: str, **body: Any) -> Any:
        """The answer; waits and tries again where the server says that this can help."""
        for _ in range(TRIES):
            answer = self.http.post(path, **body)
            if answer.status_code not in (429, 503):
                break
            time.sleep(int(answer.headers.get("Retry-After", 1)))
        if answer.is_error:
            raise Refused(answer)
        return answer.json() if answer.content else None

    def upload(self, conversation: int, path: Path) -> Video:
        # With the same key a second try does not make a second attachment.
        key = {"Idempotency-Key": str(uuid4())}
        with path.open("rb") as file:  # httpx sends it piece by piece
            return self.post(
                "chat/videos/upload/",
                # In the address: what may not be sent is refused before it is sent.
                params={"conversation": conversation},
                files={"file": (path.name, file)},
                headers=key,
            )

    def videos(self, conversation: int) -> Iterator[Video]:
        """All of a conversation, newest first."""
        address: str | None = f"chat/videos/?conversation={conversation}"
        while address:
            page = self.http.get(address).raise_for_status().json()
            yield from page["results"]
            address = page["next"]

    def download(self, video: Video, path: Path) -> None:
        """Into ``path``; goes on where an earlier try broke off."""
        there = path.stat().st_size if path.exists() else 0
        if there == video["size"]:
            return
        wanted = {"Range": f"bytes={there}-"} if there else {}
        with self.http.stream("GET", video["download_url"], headers=wanted) as answer:
            answer.raise_for_status()
            with path.open("ab" if answer.status_code == 206 else "wb") as file:
                for piece in answer.iter_bytes():
                    file.write(piece)

    def sign_out(self) -> None:
        self.post("auth/logout/")
        self.http.close()


def main(site: str, conversation: str, path: str) -> None:
    chat = Chat(site, os.environ["USERNAME"], os.environ["PASSWORD"])
    try:
        sent = chat.upload(int(conversation), Path(path))
        print("uploaded", sent["id"], sent["duration_formatted"], sent["codec"])
        for video in chat.videos(int(conversation)):
            print(video["id"], video["original_name"], video["processing_state"])
        chat.download(sent, Path(f"video-{sent['id']}.mp4"))
    except Refused as refused:
        sys.exit(f"{refused} ({refused.code})")
    finally:
        chat.sign_out()


if __name__ == "__main__":
    main(*sys.argv[1:])
