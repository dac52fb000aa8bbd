// SPDX-License-Identifier: Apache-2.0

import java.nio.charset.StandardCharsets;
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
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * A consumer as applications have one: subscribe, poll, commit.
 *
 * <p>Arguments: config=FILE topics=A,B commit=sync|async|auto stopAt=N stopStep=N hold=BOOLEAN. With stopAt of 0 or more,
 * partition p is read and committed up to offset stopAt + p * stopStep and then paused, while the consumer goes on
 * polling the others: that leaves a known lag. With hold=true, a record whose value is "hold" is read, but not committed
 * before a later one is. Prints "client VERSION", "assigned", "revoked" and "committed TOPIC PARTITION OFFSET".
 */
public final class TestConsumer {
    private static final int POLL_MS = 200;
    /** Before what is held is read again. */
    private static final int HELD_MS = 50;

    public static void main(String[] args) throws Exception {
        Arguments arguments = new Arguments(args);
        Properties config = arguments.config();
        List<String> topics = Arrays.asList(arguments.text("topics").split(","));
        String commit = arguments.text("commit");
        long stopAt = arguments.number("stopAt");
        long stopStep = arguments.number("stopStep");
        boolean hold = Boolean.parseBoolean(arguments.text("hold"));
        arguments.end();

        KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        System.out.println("client " + AppInfoParser.getVersion());
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
                    if (hold && !take(consumer, partition, batch, commit.equals("auto"))) {
                        continue;
                    }
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

    /**
     * Shortens a batch to what is to be committed, and tells whether that is anything. With auto commit the position
     * is what is committed, so what is held is read again.
     */
    private static boolean take(KafkaConsumer<?, ?> consumer, TopicPartition partition,
            List<ConsumerRecord<byte[], byte[]>> batch, boolean seek) throws InterruptedException {
        int last = batch.size() - 1;
        while (last >= 0 && new String(batch.get(last).value(), StandardCharsets.UTF_8).equals("hold")) {
            last--;
        }
        if (seek && last < batch.size() - 1) {
            consumer.seek(partition, batch.get(last + 1).offset());
            if (last < 0) {
                Thread.sleep(HELD_MS);
            }
        }
        batch.subList(last + 1, batch.size()).clear();
        return last >= 0;
    }

    private static void print(Map<TopicPartition, OffsetAndMetadata> offsets) {
        offsets.forEach((partition, offset) ->
                System.out.println("committed " + partition.topic() + " " + partition.partition() + " " + offset.offset()));
    }

    private TestConsumer() { }
}
