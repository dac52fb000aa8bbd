// SPDX-License-Identifier: Apache-2.0

//! Does one job after another with rust-rdkafka, that is librdkafka, as quickly as it can. Jobs are lines of the
//! standard input, see `../../../throughput.go`; the answer to each is "done RUN RECORDS BYTES NANOSECONDS".

use std::env;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// How many records there are between two looks at the clock.
const SOMETIMES: u64 = 10_000;

/// What a job did, and how long it took.
struct Done {
    records: u64,
    bytes: u64,
    took: Duration,
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// The version of the crate rdkafka that Cargo.lock pins.
fn crate_version() -> &'static str {
    let lock = include_str!("../../Cargo.lock");
    let after = lock.split_once("name = \"rdkafka\"\nversion = \"").expect("rdkafka in Cargo.lock").1;
    after.split('"').next().unwrap_or_default()
}

fn main() {
    println!("client {}", crate_version());
    println!("librdkafka {}", rdkafka::util::get_rdkafka_version().1);
    for line in io::stdin().lines() {
        let line = line.expect("read the standard input");
        let words: Vec<&str> = line.split(' ').collect();
        let number = |i: usize| words[i].parse().unwrap_or_else(|_| panic!("not a number: {:?}", words[i]));
        let done = match (words[1], words.len()) {
            ("consume", 5) => consume(words[2], number(3), number(4)),
            ("produce", 5) => produce(words[2], number(3), number(4)),
            ("commit", 4) => commit(words[2], number(3)),
            _ => panic!("not a job: {line:?}"),
        };
        println!("done {} {} {} {}", words[0], done.records, done.bytes, done.took.as_nanos());
    }
}

fn consumer() -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", var("KAFKA_BROKER"))
        .set("group.id", var("KAFKA_GROUP"))
        .create()
        .expect("create the consumer")
}

/// Reads all partitions of a topic from the beginning to the end, so many times.
fn consume(topic: &str, partitions: u64, rounds: u64) -> Done {
    let mut done = Done { records: 0, bytes: 0, took: Duration::ZERO };
    for _ in 0..rounds {
        let consumer = consumer();
        let mut left = 0;
        let mut assigned = TopicPartitionList::new();
        for partition in 0..partitions as i32 {
            let (begin, end) = consumer.fetch_watermarks(topic, partition, TIMEOUT).expect("ask for watermarks");
            left += (end - begin) as u64;
            assigned.add_partition_offset(topic, partition, Offset::Beginning).expect("assign");
        }
        done.records += left;
        let begin = Instant::now();
        consumer.assign(&assigned).expect("assign");
        let mut last = begin;
        while left > 0 {
            // Nothing is also what comes of an event that is no record, such as a commit's answer.
            let Some(message) = consumer.poll(POLL) else {
                assert!(last.elapsed() < TIMEOUT, "{left} records are missing");
                continue;
            };
            done.bytes += message.expect("consume").payload().map_or(0, |value| value.len() as u64);
            left -= 1;
            if left % SOMETIMES == 0 {
                last = Instant::now();
            }
        }
        done.took += begin.elapsed();
    }
    done
}

/// Counts what the broker did not take.
#[derive(Default)]
struct Failures(AtomicU64);

impl ClientContext for Failures {}

impl ProducerContext for Failures {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        if result.is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes so many records of so many bytes, and waits until all are acknowledged.
fn produce(topic: &str, count: u64, size: u64) -> Done {
    let producer: BaseProducer<Failures> = ClientConfig::new()
        .set("bootstrap.servers", var("KAFKA_BROKER"))
        .create_with_context(Failures::default())
        .expect("create the producer");
    producer.client().fetch_metadata(Some(topic), TIMEOUT).expect("ask for metadata");
    let value = vec![b'x'; size as usize];
    let begin = Instant::now();
    for _ in 0..count {
        let mut record = BaseRecord::<(), [u8]>::to(topic).payload(&value);
        while let Err((error, back)) = producer.send(record) {
            assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), "produce");
            producer.poll(Duration::from_millis(10)); // until there is room
            record = back;
        }
    }
    producer.flush(TIMEOUT).expect("flush");
    let took = begin.elapsed();
    assert_eq!(producer.context().0.load(Ordering::Relaxed), 0, "records that the broker did not take");
    Done { records: count, bytes: count * size, took }
}

/// Commits so many times, each time waiting for the answer.
fn commit(topic: &str, count: u64) -> Done {
    let consumer = consumer();
    let commit = |offset: u64| {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, 0, Offset::Offset(offset as i64)).expect("an offset");
        consumer.commit(&offsets, CommitMode::Sync).expect("commit");
    };
    commit(0); // finds the coordinator
    let begin = Instant::now();
    for offset in 1..=count {
        commit(offset);
    }
    Done { records: count, bytes: 0, took: begin.elapsed() }
}
