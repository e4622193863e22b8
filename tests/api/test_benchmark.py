"""The client with which the benchmark of jobs times uploads works still."""

from bench.jobs_media import Client, percentile
from tests.api.server import PASSWORD, ApiServer
from tests.clips import clip


def test_uploads_are_timed(server: ApiServer) -> None:
    client = Client(server.url, PASSWORD, clip(), "anna")
    seconds = [client.upload(), client.upload()]
    assert 0 < percentile(seconds, 0.5) <= 1000 * max(seconds)
