"""`python -m tests.chat.upload_with_tuspy '{"endpoint", "headers", "path", "urls", "metadata",
"chunk_size", "stop_at"}'`: uploads with tuspy as it is, which remembers addresses in a file.

A process of its own, as a person would run it: tuspy leaves closing its files to the garbage
collector, which the tests do not allow.  Prints where it began, where it ended and the attachment.
"""

import json
import sys

from tusclient.client import TusClient
from tusclient.storage.filestorage import FileStorage

given = json.loads(sys.argv[1])
uploader = TusClient(given["endpoint"], headers=given["headers"]).uploader(
    given["path"],
    chunk_size=given["chunk_size"],
    metadata=given["metadata"],
    store_url=True,
    url_storage=FileStorage(given["urls"]),
    upload_checksum=True,
)
began = uploader.offset
uploader.upload(stop_at=given.get("stop_at"))
attachment = uploader.request.response_headers.get("attachment-id")
print(json.dumps([began, uploader.offset, attachment]))
