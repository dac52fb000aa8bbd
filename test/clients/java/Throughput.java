// SPDX-License-Identifier: Apache-2.0

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * Does one job after another as quickly as it can. Jobs are lines of the standard input, see ../throughput.go; the
 * answer to each is "done RUN RECORDS BYTES NANOSECONDS". One JVM does all, so that its compiler has done its work.
 */
public final class Throughput {
    private static final Duration TIMEOUT = Duration.ofSeconds(30);

    /** What a job did, and how long it took. */
    private long records;
    private long bytes;
    private long nanoseconds;

    public static void main(String[] args) throws Exception {
        System.out.println("client " + AppInfoParser.getVersion());
        BufferedReader jobs = new BufferedReader(new InputStreamReader(System.in));
        for (String line = jobs.readLine(); line != null; line = jobs.readLine()) {
            String[] words = line.split(" ");
            Throughput done = new Throughput();
            switch (words[1]) {
                case "consume":
                    done.consume(words[2], Integer.parseInt(words[3]), Integer.parseInt(words[4]));
                    break;
                case "produce":
                    done.produce(words[2], Long.parseLong(words[3]), Integer.parseInt(words[4]));
                    break;
                case "commit":
                    done.commit(words[2], Long.parseLong(words[3]));
                    break;
                default:
                    throw new IllegalArgumentException("not a job: " + line);
            }
            System.out.println("done " + words[0] + " " + done.records + " " + done.bytes + " " + done.nanoseconds);
        }
    }

    private static KafkaConsumer<byte[], byte[]> consumer() {
        Map<String, Object> config =
                Map.of("bootstrap.servers", System.getenv("KAFKA_BROKER"), "group.id", System.getenv("KAFKA_GROUP"));
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** Reads all partitions of a topic from the beginning to the end, so many times. */
    private void consume(String topic, int partitions, int rounds) {
        List<TopicPartition> all = new ArrayList<>();
        for (int partition = 0; partition < partitions; partition++) {
            all.add(new TopicPartition(topic, partition));
        }
        for (int round = 0; round < rounds; round++) {
            try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
                consumer.assign(all);
                consumer.seekToBeginning(all);
                long left = 0;
                for (long end : consumer.endOffsets(all, TIMEOUT).values()) {
                    left += end;
                }
                for (TopicPartition partition : all) {
                    left -= consumer.position(partition, TIMEOUT);
                }
                records += left;
                long begin = System.nanoTime();
                while (left > 0) {
                    ConsumerRecords<byte[], byte[]> batch = consumer.poll(TIMEOUT);
                    if (batch.isEmpty()) {
                        throw new IllegalStateException(left + " records are missing after " + TIMEOUT);
                    }
                    for (ConsumerRecord<byte[], byte[]> record : batch) {
                        bytes += record.value().length;
                    }
                    left -= batch.count();
                }
                nanoseconds += System.nanoTime() - begin;
            }
        }
    }

    /** Writes so many records of so many bytes, and waits until all are acknowledged. */
    private void produce(String topic, long count, int size) {
        byte[] value = new byte[size];
        AtomicReference<Exception> failure = new AtomicReference<>();
        Map<String, Object> config = Map.of("bootstrap.servers", System.getenv("KAFKA_BROKER"));
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            producer.partitionsFor(topic);
            long begin = System.nanoTime();
            for (long i = 0; i < count; i++) {
                producer.send(new ProducerRecord<>(topic, value), (written, error) -> {
                    if (error != null) {
                        failure.set(error);
                    }
                });
            }
            producer.flush();
            nanoseconds = System.nanoTime() - begin;
        }
        if (failure.get() != null) {
            throw new IllegalStateException("not all records were taken", failure.get());
        }
        records = count;
        bytes = count * size;
    }

    /** Commits so many times, each time waiting for the answer. */
    private void commit(String topic, long count) {
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(0))); // finds the coordinator
            long begin = System.nanoTime();
            for (long offset = 1; offset <= count; offset++) {
                consumer.commitSync(Map.of(partition, new OffsetAndMetadata(offset)));
            }
            nanoseconds = System.nanoTime() - begin;
        }
        records = count;
    }

    private Throughput() { }
}
