"""Answers like the S3 gateway of compose.yaml, from memory, with moto; it checks no signature."""

import threading

import boto3
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="0.0.0.0", port=7070)  # noqa: S104 - inside a container
server.start()
client = boto3.client(
    "s3",
    endpoint_url="http://127.0.0.1:7070",
    region_name="us-east-1",
    aws_access_key_id="standin",
    aws_secret_access_key="standin",  # noqa: S106
)
client.create_bucket(Bucket="health")  # so that GET /health answers 200
threading.Event().wait()
