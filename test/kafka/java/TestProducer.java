// SPDX-License-Identifier: Apache-2.0

import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Produces the same number of records to every partition of a topic.
 *
 * <p>Arguments: config=FILE topic=T partitions=N count=PER_PARTITION rounds=N pause=MS size=BYTES. The records are
 * sent in so many rounds, each acknowledged before the next, with a pause between. Prints "produced TOTAL".
 */
public final class TestProducer {
    public static void main(String[] args) throws Exception {
        Arguments arguments = new Arguments(args);
        Properties config = arguments.config();
        String topic = arguments.text("topic");
        int partitions = (int) arguments.number("partitions");
        long count = arguments.number("count");
        long rounds = arguments.number("rounds");
        long pause = arguments.number("pause");
        byte[] value = new byte[(int) arguments.number("size")];
        arguments.end();

        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (long round = 0; round < rounds; round++) {
                List<Future<RecordMetadata>> sent = new ArrayList<>();
                for (long i = round * count / rounds; i < (round + 1) * count / rounds; i++) {
                    for (int partition = 0; partition < partitions; partition++) {
                        byte[] key = ("key-" + i).getBytes();
                        sent.add(producer.send(new ProducerRecord<>(topic, partition, key, value)));
                    }
                }
                producer.flush();
                for (Future<RecordMetadata> one : sent) {
                    one.get();
                }
                if (round + 1 < rounds) {
                    Thread.sleep(pause);
                }
            }
        }
        System.out.println("produced " + partitions * count);
    }

    private TestProducer() { }
}
