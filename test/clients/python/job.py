# SPDX-License-Identifier: Apache-2.0
"""What the Python consumers have in common: what the environment tells them, as ../job.go writes it."""

import importlib.metadata
import os
import signal

REFRESH_MS = 3000  # between requests for Metadata, so that who attaches mid-stream soon sees topic names
WAIT_MS = 500  # the longest that the broker may hold a fetch back
INTERVAL_MS = 1000  # between commits by the client itself
POLL_SECONDS = 0.2

BROKER = os.environ["KAFKA_BROKER"]
GROUP = os.environ["KAFKA_GROUP"]
TOPICS = os.environ["KAFKA_TOPICS"].split(",")
COMMIT = os.environ["KAFKA_COMMIT"]  # auto, sync or async
PROTOCOL = os.environ["KAFKA_PROTOCOL"]  # classic, or consumer: KIP-848

stopped = False


def start(library, *can):
    """Prints the library's version; from now on SIGTERM sets stopped."""
    if f"{PROTOCOL} {COMMIT}" not in can:
        raise SystemExit(f"KAFKA_PROTOCOL={PROTOCOL} KAFKA_COMMIT={COMMIT} is not one of {can}")
    print("client", importlib.metadata.version(library), flush=True)

    def stop(_number, _frame):
        global stopped
        stopped = True

    signal.signal(signal.SIGTERM, stop)


def held(value):
    """Tells whether a record is to be read, but not committed by itself."""
    return value == b"hold"


def taken(records):
    """Returns the offset after the last record of a batch that is to be committed; None if there is none."""
    offsets = [record.offset for record in records if not held(record.value)]
    return offsets[-1] + 1 if offsets else None
