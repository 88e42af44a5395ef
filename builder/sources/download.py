"""The former place of `builder.download`."""

from builder.download.errors import DownloadError, public_url
from builder.download.fetch import fetch
from builder.download.reading import read_uri

__all__ = ["DownloadError", "fetch", "public_url", "read_uri"]
