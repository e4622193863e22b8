"""A client generated from the schema: it compiles, uploads, lists and downloads."""

import compileall
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from chat.openapi.tables import OPERATIONS
from chat.views_schema import api_schema
from tests.api.server import PASSWORD, ApiServer
from tests.clips import clip
from tests.running import ROOT

PACKAGE = "off_chat_nexus_client"  # after the schema's title


class Generated:
    """The package in ``folder``; ``module("api.uploads.upload_video")`` is one of its modules."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / PACKAGE

    def module(self, name: str = "") -> ModuleType:
        return importlib.import_module(f"{PACKAGE}.{name}" if name else PACKAGE)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generated]:
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_text(json.dumps(api_schema()))
    example = (ROOT / "docs" / "examples" / "openapi-python-client.yml").read_text()
    (folder / "config.yml").write_text(f"{example}post_hooks: []\n")  # they only format
    generator = Path(sys.executable).with_name("openapi-python-client")
    command = [generator, "generate", "--fail-on-warning", "--meta", "none"]
    command += ["--path", "openapi.json", "--config", "config.yml", "--output-path", PACKAGE]
    made = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    sys.path.insert(0, str(folder))
    yield Generated(folder)
    sys.path.remove(str(folder))


def test_it_has_a_module_for_each_operation_and_compiles(client: Generated) -> None:
    assert compileall.compile_dir(client.folder, quiet=1)
    modules = {path.stem for path in (client.folder / "api").glob("*/*.py")} - {"__init__"}
    assert modules == {operation.name for operation in OPERATIONS.values()}


def test_uploading_listing_and_downloading(client: Generated, server: ApiServer) -> None:
    models, types = client.module("models"), client.module("types")

    def call(name: str, *arguments: Any, **fields: Any) -> Any:
        return client.module(f"api.{name}").sync(*arguments, **fields)

    sign_in = models.SignIn(username="anna", password=PASSWORD)
    with client.module().Client(server.url) as stranger:
        token = call("auth.create_token", client=stranger, body=sign_in).token

    with client.module().AuthenticatedClient(server.url, token, prefix="Token") as anna:
        content = clip().read_bytes()
        file = types.File(BytesIO(content), "beach.mp4", "video/mp4")
        form = models.UploadForm(conversation=server.conversation, file=file)
        sent = call("uploads.upload_video", client=anna, body=form)
        assert (sent.codec, sent.video_dimensions) == ("h264", [320, 240])
        assert sent.processing_state is models.ProcessingState.READY

        page = call("attachments.list_videos", client=anna, conversation=server.conversation)
        assert sent.id in [video.id for video in page.results]

        taken = call("attachments.download_attachment", sent.id, client=anna)
        assert taken.payload.read() == content
        part = call("attachments.download_attachment", sent.id, client=anna, range_="bytes=4-7")
        assert part.payload.read() == b"ftyp"

        missing = call("attachments.get_attachment", 9_999, client=anna)
        assert missing.code is models.ErrorCode.NOT_FOUND
