"""The key of the S3 servers that tests start."""

CREDENTIALS = {"key": "testing", "secret": "testing"}
