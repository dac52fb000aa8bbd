// SPDX-License-Identifier: Apache-2.0

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A consumer as applications have one: subscribe, poll, commit.
 *
 * <p>Arguments: config=FILE topics=A,B commit=sync|async|auto stopAt=N stopStep=N. With stopAt of 0 or more,
 * partition p is read and committed up to offset stopAt + p * stopStep and then paused, while the consumer goes on
 * polling the others: that leaves a known lag. Prints "assigned", "revoked" and "committed TOPIC PARTITION OFFSET".
 */
public final class TestConsumer {
    private static final int POLL_MS = 200;

    public static void main(String[] args) throws Exception {
        Arguments arguments = new Arguments(args);
        Properties config = arguments.config();
        List<String> topics = Arrays.asList(arguments.text("topics").split(","));
        String commit = arguments.text("commit");
        long stopAt = arguments.number("stopAt");
        long stopStep = arguments.number("stopStep");
        arguments.end();

        KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                main.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        consumer.subscribe(topics, new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                System.out.println("assigned " + partitions);
            }

            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                System.out.println("revoked " + partitions);
            }
        });
        try {
            while (true) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(POLL_MS));
                Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
                for (TopicPartition partition : records.partitions()) {
                    List<ConsumerRecord<byte[], byte[]>> batch = new ArrayList<>(records.records(partition));
                    long next = batch.get(batch.size() - 1).offset() + 1;
                    long limit = stopAt + partition.partition() * stopStep;
                    if (stopAt >= 0 && next >= limit) {
                        next = limit;
                        consumer.pause(List.of(partition));
                        consumer.seek(partition, limit);
                    }
                    offsets.put(partition, new OffsetAndMetadata(next));
                }
                if (offsets.isEmpty()) {
                    continue;
                }
                switch (commit) {
                    case "sync":
                        consumer.commitSync(offsets);
                        print(offsets);
                        break;
                    case "async":
                        consumer.commitAsync(offsets, (committed, error) -> {
                            if (error == null) {
                                print(committed);
                            } else {
                                System.out.println("commit failed: " + error);
                            }
                        });
                        break;
                    case "auto":
                        break;
                    default:
                        throw new IllegalArgumentException("commit=" + commit);
                }
            }
        } catch (WakeupException e) {
            // SIGTERM: leave the group as a well-behaved application does.
        } finally {
            consumer.close();
            System.out.println("closed");
        }
    }

    private static void print(Map<TopicPartition, OffsetAndMetadata> offsets) {
        offsets.forEach((partition, offset) ->
                System.out.println("committed " + partition.topic() + " " + partition.partition() + " " + offset.offset()));
    }

    private TestConsumer() { }
}
