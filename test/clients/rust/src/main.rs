// SPDX-License-Identifier: Apache-2.0

//! Consumes with rust-rdkafka, that is librdkafka, and commits each record, waiting for the answer.

use std::env;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;

fn var(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// The version of the crate rdkafka that Cargo.lock pins.
fn crate_version() -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let after = lock.split_once("name = \"rdkafka\"\nversion = \"").expect("rdkafka in Cargo.lock").1;
    after.split('"').next().unwrap_or_default()
}

fn main() {
    let way = (var("KAFKA_PROTOCOL"), var("KAFKA_COMMIT"));
    assert_eq!(way, ("classic".to_string(), "sync".to_string()), "KAFKA_PROTOCOL, KAFKA_COMMIT");
    println!("client {}", crate_version());
    println!("librdkafka {}", rdkafka::util::get_rdkafka_version().1);

    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", var("KAFKA_BROKER"))
        .set("group.id", var("KAFKA_GROUP"))
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("topic.metadata.refresh.interval.ms", "3000")
        .create()
        .expect("create the consumer");
    let topics = var("KAFKA_TOPICS");
    let topics: Vec<&str> = topics.split(',').collect();
    consumer.subscribe(&topics).expect("subscribe");
    // Ended by a signal, without leaving its group: brokers have to cope with that, too.
    loop {
        match consumer.poll(Duration::from_millis(200)) {
            None => {}
            Some(Err(error)) => println!("{error}"),
            Some(Ok(message)) => {
                if message.payload() != Some(b"hold") {
                    consumer.commit_message(&message, CommitMode::Sync).expect("commit");
                }
            }
        }
    }
}
