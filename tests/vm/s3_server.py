"""A service of S3's kind (moto's server, a process of its own), for as long as a test wants it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEY, SECRET = "test-key-id", "a-secret-that-nobody-may-see"
BUCKET = "golden"
START_LIMIT = 60


@dataclass
class S3:
    """`endpoint` is its address."""

    endpoint: str

    @property
    def client(self) -> Any:
        """Amazon's own client, past our code."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )

    def objects(self) -> dict[str, int]:
        listed = self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return {one["Key"]: one["Size"] for one in listed}

    def content(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def region(self, prefix: str = "images") -> dict[str, object]:
        """A setting of a region."""
        options = {
            "key": {"env": "TEST_S3_KEY"},
            "secret": {"env": "TEST_S3_SECRET"},
            "endpoint_url": self.endpoint,
            "client_kwargs": {"region_name": "us-east-1"},
        }
        return {"url": f"s3://{BUCKET}/{prefix}", "options": options}


@contextmanager
def s3_server(room: Path) -> Iterator[S3]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    room.mkdir(parents=True, exist_ok=True)
    with (room / "s3.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": "1000"},
        )
    try:
        end = time.monotonic() + START_LIMIT
        while True:
            assert process.poll() is None, (room / "s3.log").read_text()
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert time.monotonic() < end, "the S3 service does not answer"
            time.sleep(0.1)
        found = S3(f"http://127.0.0.1:{port}")
        found.client.create_bucket(Bucket=BUCKET)
        yield found
    finally:
        process.terminate()
        process.wait(30)
