# SPDX-License-Identifier: Apache-2.0
"""Consumes with kafka-python: version 3 commits each batch without waiting, version 2 each record."""

import importlib.metadata
import sys

if importlib.metadata.version("kafka-python").startswith("2.0."):
    # Its own copy of six does not import since Python 3.12.
    import six

    sys.modules["kafka.vendor.six.moves"] = six.moves

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition

import job


def offset(value):
    # The leader's epoch is known to newer versions only.
    return OffsetAndMetadata(value, "", *[-1] * (len(OffsetAndMetadata._fields) - 2))


failed = []  # responses to commits that are to be made again: the client itself does not


def report(_offsets, response):
    if isinstance(response, Exception):
        print("commit failed:", response, flush=True)
        failed.append(response)


def main():
    job.start("kafka-python", "classic sync", "classic async")
    consumer = KafkaConsumer(
        *job.TOPICS,
        bootstrap_servers=job.BROKER,
        group_id=job.GROUP,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        metadata_max_age_ms=job.REFRESH_MS,
        fetch_max_wait_ms=job.WAIT_MS,
    )
    newest = {}
    while not job.stopped:
        batches = consumer.poll(timeout_ms=int(job.POLL_SECONDS * 1000))
        if job.COMMIT == "async":
            offsets = {partition: job.taken(records) for partition, records in batches.items()}
            offsets = {partition: offset(after) for partition, after in offsets.items() if after is not None}
            newest.update(offsets)
            if failed:
                failed.clear()
                offsets = {partition: after for partition, after in newest.items() if partition in consumer.assignment()}
            if offsets:
                consumer.commit_async(offsets, callback=report)
            continue
        for partition, records in batches.items():
            for record in records:
                if not job.held(record.value):
                    consumer.commit({TopicPartition(*partition): offset(record.offset + 1)})
    consumer.close()


main()
