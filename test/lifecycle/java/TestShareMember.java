// SPDX-License-Identifier: Apache-2.0

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A member of a share group. It counts what it has acknowledged once the broker has confirmed it, which the client's
 * callback tells.
 *
 * <p>Arguments: the broker's address, a group, a topic, how many records it has, and "implicit" (each is accepted by the
 * next poll), "sync" or "async" (of four offsets one is rejected, and one released and accepted when it comes again).
 * Prints "acknowledged PARTITION TYPE COUNT" for each, "done", and goes on polling until it is told to end.
 */
public final class TestShareMember {
    private static final int POLL_MS = 300;
    private static final int KINDS = 4;

    public static void main(String[] args) throws Exception {
        Properties config = new Properties();
        config.put("bootstrap.servers", args[0]);
        config.put("group.id", args[1]);
        config.put("max.poll.records", "7");
        int total = Integer.parseInt(args[3]);
        String mode = args[4];
        boolean explicit = !mode.equals("implicit");
        config.put("share.acknowledgement.mode", explicit ? "explicit" : "implicit");
        Map<String, AcknowledgeType> asked = new HashMap<>();
        Map<String, Integer> confirmed = new TreeMap<>();
        int[] finished = {0};
        KafkaShareConsumer<byte[], byte[]> consumer =
                new KafkaShareConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        consumer.setAcknowledgementCommitCallback((offsets, error) -> {
            if (error != null) {
                System.out.println("refused " + offsets + " " + error);
                return;
            }
            offsets.forEach((partition, of) -> of.forEach(offset -> {
                AcknowledgeType type = asked.get(partition.partition() + " " + offset);
                confirmed.merge(partition.partition() + " " + type, 1, Integer::sum);
                finished[0] += type == AcknowledgeType.RELEASE ? 0 : 1;
            }));
        });
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                main.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        try {
            consumer.subscribe(List.of(args[2]));
            boolean said = false;
            while (true) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(POLL_MS));
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    AcknowledgeType type = explicit ? typeOf(record) : AcknowledgeType.ACCEPT;
                    asked.put(record.partition() + " " + record.offset(), type);
                    if (explicit) {
                        consumer.acknowledge(record, type);
                    }
                }
                if (mode.equals("sync")) {
                    consumer.commitSync();
                } else if (mode.equals("async")) {
                    consumer.commitAsync();
                }
                if (finished[0] == total && !said) {
                    confirmed.forEach((of, count) -> System.out.println("acknowledged " + of + " " + count));
                    System.out.println("done");
                    said = true;
                }
            }
        } catch (org.apache.kafka.common.errors.WakeupException e) {
            consumer.close(); // it leaves the group
        }
    }

    private static AcknowledgeType typeOf(ConsumerRecord<?, ?> record) {
        switch ((int) (record.offset() % KINDS)) {
            case 1:
                return record.deliveryCount().orElse((short) 1) == 1 ? AcknowledgeType.RELEASE : AcknowledgeType.ACCEPT;
            case 2:
                return AcknowledgeType.REJECT;
            default:
                return AcknowledgeType.ACCEPT;
        }
    }

    private TestShareMember() { }
}
