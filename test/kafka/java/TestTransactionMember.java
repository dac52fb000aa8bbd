// SPDX-License-Identifier: Apache-2.0

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * An application with transactions that a test tells what to do, a line of standard input each: "open" reads some
 * records and sends them and their offsets in a new transaction, "offsets" sends the offsets of more records in the open
 * one, "commit" and "abort" end it. At the end of the input it closes, which aborts what is open.
 *
 * <p>Arguments: config=FILE (of the consumer) producer=FILE topic=T output=T. Prints "ready", and for each command
 * "opened", "added", "committed" or "aborted", or "failed EXCEPTION".
 */
public final class TestTransactionMember {
    private static final int POLL_MS = 200;

    public static void main(String[] args) throws Exception {
        Arguments arguments = new Arguments(args);
        Properties config = arguments.config();
        Properties producerConfig = new Arguments(new String[] {"config=" + arguments.text("producer")}).config();
        String topic = arguments.text("topic");
        String output = arguments.text("output");
        arguments.end();

        try (KafkaConsumer<byte[], byte[]> consumer =
                        new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
                KafkaProducer<byte[], byte[]> producer =
                        new KafkaProducer<>(producerConfig, new ByteArraySerializer(), new ByteArraySerializer());
                BufferedReader in = new BufferedReader(new InputStreamReader(System.in))) {
            producer.initTransactions();
            consumer.subscribe(List.of(topic));
            System.out.println("ready");
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                try {
                    System.out.println(run(line, consumer, producer, output));
                } catch (KafkaException e) {
                    System.out.println("failed " + e.getClass().getSimpleName());
                }
            }
        }
    }

    private static String run(String command, KafkaConsumer<byte[], byte[]> consumer,
            KafkaProducer<byte[], byte[]> producer, String output) {
        switch (command) {
            case "open":
                producer.beginTransaction();
                send(consumer, producer, output);
                return "opened";
            case "offsets":
                send(consumer, producer, output);
                return "added";
            case "commit":
                producer.commitTransaction();
                return "committed";
            case "abort":
                producer.abortTransaction();
                return "aborted";
            default:
                throw new IllegalArgumentException(command);
        }
    }

    private static void send(KafkaConsumer<byte[], byte[]> consumer, KafkaProducer<byte[], byte[]> producer, String output) {
        ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(POLL_MS));
        while (records.isEmpty()) {
            records = consumer.poll(Duration.ofMillis(POLL_MS));
        }
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (ConsumerRecord<byte[], byte[]> record : records) {
            producer.send(new ProducerRecord<>(output, record.key(), record.value()));
            offsets.put(new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
        }
        producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
    }

    private TestTransactionMember() { }
}
