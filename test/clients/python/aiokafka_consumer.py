# SPDX-License-Identifier: Apache-2.0
"""Consumes with aiokafka, which commits its position once a second."""

import asyncio

import aiokafka

import job


async def main():
    job.start("aiokafka", "classic auto")
    consumer = aiokafka.AIOKafkaConsumer(
        *job.TOPICS,
        bootstrap_servers=job.BROKER,
        group_id=job.GROUP,
        auto_offset_reset="earliest",
        enable_auto_commit=True,
        auto_commit_interval_ms=job.INTERVAL_MS,
        metadata_max_age_ms=job.REFRESH_MS,
        fetch_max_wait_ms=job.WAIT_MS,
    )
    await consumer.start()
    while not job.stopped:
        batches = await consumer.getmany(timeout_ms=int(job.POLL_SECONDS * 1000))
        for partition, records in batches.items():
            # What is committed is the position: what is held is read again. No other task runs in between.
            if job.held(records[-1].value):
                consumer.seek(partition, job.taken(records) or records[0].offset)
        if batches and all(job.taken(records) is None for records in batches.values()):
            await asyncio.sleep(job.POLL_SECONDS)
    await consumer.stop()


asyncio.run(main())
