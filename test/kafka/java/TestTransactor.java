// SPDX-License-Identifier: Apache-2.0

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
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Reads a topic, writes what it read to another and commits its offsets, all in transactions.
 *
 * <p>Arguments: config=FILE (of the consumer) producer=FILE topic=T output=T count=N aborts=N. The first transactions
 * are aborted, so many of them, and their records are read again. Prints "committed" and "aborted TOPIC PARTITION
 * OFFSET", and "transacted" at the end.
 */
public final class TestTransactor {
    private static final int POLL_MS = 200;

    public static void main(String[] args) throws Exception {
        Arguments arguments = new Arguments(args);
        Properties config = arguments.config();
        Properties producerConfig = new Arguments(new String[] {"config=" + arguments.text("producer")}).config();
        String topic = arguments.text("topic");
        String output = arguments.text("output");
        long left = arguments.number("count");
        long aborts = arguments.number("aborts");
        arguments.end();

        try (KafkaConsumer<byte[], byte[]> consumer =
                        new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
                KafkaProducer<byte[], byte[]> producer =
                        new KafkaProducer<>(producerConfig, new ByteArraySerializer(), new ByteArraySerializer())) {
            producer.initTransactions();
            consumer.subscribe(List.of(topic));
            while (left > 0) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(POLL_MS));
                if (records.isEmpty()) {
                    continue;
                }
                producer.beginTransaction();
                Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
                Map<TopicPartition, Long> first = new HashMap<>();
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    TopicPartition partition = new TopicPartition(record.topic(), record.partition());
                    producer.send(new ProducerRecord<>(output, record.key(), record.value()));
                    first.putIfAbsent(partition, record.offset());
                    offsets.put(partition, new OffsetAndMetadata(record.offset() + 1));
                }
                producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
                boolean abort = aborts > 0;
                if (abort) {
                    aborts--;
                    producer.abortTransaction();
                    first.forEach(consumer::seek);
                } else {
                    producer.commitTransaction();
                    left -= records.count();
                }
                offsets.forEach((partition, offset) -> System.out.println((abort ? "aborted " : "committed ")
                        + partition.topic() + " " + partition.partition() + " " + offset.offset()));
            }
        }
        System.out.println("transacted");
    }

    private TestTransactor() { }
}
