"""Signed URLs as Google's own library makes them, for comparison with ours.

Usage: gcs_signatures.py KEYFILE < REQUESTS
Reads a JSON list of {method, resource, seconds, timestamp, headers} and prints a JSON list of URLs, signed with the
service account's key in KEYFILE. Needs google-cloud-storage (tests/servers installs it). With a key of its own it
made tests/data/gcs_v4.json, whose private half was thrown away.
"""

import json
import sys

from google.cloud.storage._signing import generate_signed_url_v4
from google.oauth2 import service_account

credentials = service_account.Credentials.from_service_account_file(sys.argv[1])
urls = [
    generate_signed_url_v4(
        credentials,
        resource=request["resource"],
        expiration=request["seconds"],
        method=request["method"],
        headers=request["headers"],
        _request_timestamp=request["timestamp"],
    )
    for request in json.load(sys.stdin)
]
json.dump(urls, sys.stdout)
