// SPDX-License-Identifier: Apache-2.0

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A member of a group that a test tells what to do, a line of standard input each: "commit on", "commit off", "sleep"
 * (poll no more, while the client's own thread goes on sending heartbeats), "wake", "close". The end of the input
 * closes, too.
 *
 * <p>Arguments: config=FILE topics=A,B. Prints, with milliseconds of Unix time, "assigned TIME P...", "revoked TIME P..."
 * and "lost TIME P..." as TOPIC-PARTITION, "committed TOPIC PARTITION OFFSET", "rebalanced COUNT MILLIS" of the client's
 * own metrics when they change, "commits", "commits no more", "slept" and "woke", and "closed TIME".
 */
public final class TestMember {
    private static final int POLL_MS = 200;
    private static final String END = "close";

    public static void main(String[] args) throws Exception {
        Arguments arguments = new Arguments(args);
        Properties config = arguments.config();
        List<String> topics = Arrays.asList(arguments.text("topics").split(","));
        arguments.end();

        BlockingQueue<String> commands = new LinkedBlockingQueue<>();
        Thread reader = new Thread(() -> read(commands));
        reader.setDaemon(true);
        reader.start();
        KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        consumer.subscribe(topics, new Listener());
        boolean commit = true;
        boolean asleep = false;
        String rebalanced = "";
        loop:
        while (true) {
            String command = asleep ? commands.take() : commands.poll();
            if (command != null) {
                switch (command) {
                    case "commit on":
                        commit = true;
                        say("commits");
                        break;
                    case "commit off":
                        commit = false;
                        say("commits no more");
                        break;
                    case "sleep":
                        asleep = true;
                        say("slept");
                        break;
                    case "wake":
                        asleep = false;
                        say("woke");
                        break;
                    case END:
                        break loop;
                    default:
                        throw new IllegalArgumentException(command);
                }
                continue;
            }
            ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(POLL_MS));
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            for (ConsumerRecord<byte[], byte[]> record : records) {
                offsets.put(new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
            }
            if (commit && !offsets.isEmpty()) {
                try {
                    consumer.commitSync(offsets);
                    offsets.forEach((p, o) -> say("committed " + p.topic() + " " + p.partition() + " " + o.offset()));
                } catch (CommitFailedException | RebalanceInProgressException e) {
                    say("refused " + e.getClass().getSimpleName()); // others own the partitions by now
                }
            }
            String measured = measured(consumer);
            if (!measured.equals(rebalanced)) {
                rebalanced = measured;
                say("rebalanced " + measured);
            }
        }
        consumer.close();
        say("closed " + System.currentTimeMillis());
    }

    private static void read(BlockingQueue<String> commands) {
        try (BufferedReader in = new BufferedReader(new InputStreamReader(System.in))) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                commands.add(line);
            }
        } catch (IOException e) {
            say("input: " + e);
        }
        commands.add(END);
    }

    /** How often this member has rebalanced, and for how long in all, by the client's own account. */
    private static String measured(KafkaConsumer<?, ?> consumer) {
        double count = 0;
        double millis = 0;
        for (Metric metric : consumer.metrics().values()) {
            if (!metric.metricName().group().equals("consumer-coordinator-metrics")) {
                continue;
            }
            if (metric.metricName().name().equals("rebalance-total")) {
                count = (Double) metric.metricValue();
            } else if (metric.metricName().name().equals("rebalance-latency-total")) {
                millis = (Double) metric.metricValue();
            }
        }
        return (long) count + " " + (long) millis;
    }

    private static synchronized void say(String line) {
        System.out.println(line);
    }

    private static final class Listener implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            tell("assigned", partitions);
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            tell("revoked", partitions);
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            tell("lost", partitions);
        }

        private static void tell(String what, Collection<TopicPartition> partitions) {
            say(partitions.stream().map(TopicPartition::toString).sorted()
                    .collect(Collectors.joining(" ", what + " " + System.currentTimeMillis() + " ", "")));
        }
    }

    private TestMember() { }
}
