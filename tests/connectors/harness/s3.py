"""A bucket of a real S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import boto3

from tests.connectors.harness import Ground, Kind, Served
from tests.connectors.harness.folder import files
from tests.servers import s3

SPEAKS = "http"
KINDS = frozenset[Kind]({"some", "empty", "broken", "large"})
PATIENCE: dict[str, float] = {
    "connectors.places.s3._READ": 0.5,
    "connectors.places.s3._CONNECT": 0.5,
    "connectors.places.s3._TRIES": 2,
}


@contextmanager
def serve(kind: Kind, ground: Ground) -> Iterator[Served]:
    # The client's own pauses between two tries are nothing to wait for.
    ground.monkeypatch.setattr(
        "botocore.retries.standard.ExponentialBackoff.delay_amount", lambda self, context: 0.0
    )
    url, bucket = ground.fixture("s3_url"), f"conformance-{uuid4().hex[:8]}"
    storage = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id=s3.KEY_ID, aws_secret_access_key=s3.SECRET
    )  # fmt: skip
    storage.create_bucket(Bucket=bucket)
    for name, data in files(kind).items():
        storage.put_object(Bucket=bucket, Key=name, Body=data)
    yield Served(
        lambda port: {
            "bucket": bucket, "endpoint": f"http://127.0.0.1:{port}", "key_id": s3.KEY_ID, "secret": s3.SECRET,
        },
        urlsplit(url).port or 0,
        secret=s3.SECRET,
        named="s3.eu-central-1.amazonaws.com",  # any other the server takes for a bucket's
        **({"records": frozenset()} if kind == "empty" else {}),
    )  # fmt: skip
