# SPDX-License-Identifier: Apache-2.0
"""Consumes with confluent-kafka, that is librdkafka: commits each record without waiting, or stores its offset for
the library to commit."""

import confluent_kafka

import job


def report(error, _partitions):
    if error is not None:
        print("commit failed:", error, flush=True)


def main():
    job.start("confluent-kafka", "classic async", "consumer auto")
    print("librdkafka", confluent_kafka.libversion()[0], flush=True)
    config = {
        "bootstrap.servers": job.BROKER,
        "group.id": job.GROUP,
        "group.protocol": job.PROTOCOL,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": job.COMMIT == "auto",
        "auto.commit.interval.ms": job.INTERVAL_MS,
        "enable.auto.offset.store": False,
        "topic.metadata.refresh.interval.ms": job.REFRESH_MS,
        "on_commit": report,
    }
    consumer = confluent_kafka.Consumer(config)
    consumer.subscribe(job.TOPICS)
    while not job.stopped:
        message = consumer.poll(job.POLL_SECONDS)
        if message is None:
            continue
        if message.error():
            print(message.error(), flush=True)
        elif not job.held(message.value()):
            if job.COMMIT == "auto":
                consumer.store_offsets(message=message)
            else:
                consumer.commit(message=message, asynchronous=True)
    consumer.close()


main()
