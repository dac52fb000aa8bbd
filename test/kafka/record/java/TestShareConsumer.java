// SPDX-License-Identifier: Apache-2.0

import java.io.FileInputStream;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A member of a share group (KIP-932) that acknowledges each record by itself: of four offsets one is rejected, one is
 * released and accepted when it comes again, and two are accepted.
 *
 * <p>Arguments: the consumer's properties file, a topic, how many records it has, and how many partitions. The first half is acknowledged
 * by commitSync (ShareAcknowledge), the rest along with the next fetch (ShareFetch). Prints
 * "acknowledged TOPIC PARTITION ACCEPTED RELEASED REJECTED" for each partition at the end.
 */
public final class TestShareConsumer {
    private static final int POLL_MS = 500;

    public static void main(String[] args) throws Exception {
        Properties config = new Properties();
        try (FileInputStream in = new FileInputStream(args[0])) {
            config.load(in);
        }
        String topic = args[1];
        int total = Integer.parseInt(args[2]);
        int partitions = Integer.parseInt(args[3]);
        long[][] counts = new long[partitions][3];
        try (KafkaShareConsumer<byte[], byte[]> consumer =
                new KafkaShareConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(topic));
            for (int done = 0; done < total; ) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(POLL_MS));
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    AcknowledgeType type = typeOf(record);
                    consumer.acknowledge(record, type);
                    counts[record.partition()][type.id - 1]++;
                    done += type == AcknowledgeType.RELEASE ? 0 : 1;
                }
                if (done < total / 2) {
                    consumer.commitSync().forEach((partition, error) ->
                            error.ifPresent(e -> System.out.println("refused " + partition + " " + e)));
                }
            }
            consumer.poll(Duration.ofMillis(POLL_MS)); // what was acknowledged last goes out with this fetch
        }
        for (int p = 0; p < partitions; p++) {
            System.out.println("acknowledged " + topic + " " + p + " " + counts[p][0] + " " + counts[p][1] + " " + counts[p][2]);
        }
    }

    private static AcknowledgeType typeOf(ConsumerRecord<?, ?> record) {
        switch ((int) (record.offset() % 4)) {
            case 1:
                return record.deliveryCount().orElse((short) 1) == 1 ? AcknowledgeType.RELEASE : AcknowledgeType.ACCEPT;
            case 2:
                return AcknowledgeType.REJECT;
            default:
                return AcknowledgeType.ACCEPT;
        }
    }

    private TestShareConsumer() { }
}
