// SPDX-License-Identifier: Apache-2.0

import java.util.Arrays;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.AppInfoParser;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;

/** Copies topics to KAFKA_OUTPUT with Kafka Streams, exactly once: offsets are committed in transactions. */
public final class CopyStreams {
    /** Between requests for Metadata, so that who attaches mid-stream soon sees topic names. */
    private static final int REFRESH_MS = 3000;
    private static final int COMMIT_MS = 500;

    public static void main(String[] args) throws Exception {
        Map<String, String> job = System.getenv();
        String way = job.get("KAFKA_PROTOCOL") + " " + job.get("KAFKA_COMMIT");
        if (!way.equals("classic transaction")) {
            throw new IllegalArgumentException("KAFKA_PROTOCOL, KAFKA_COMMIT: " + way);
        }
        System.out.println("client " + AppInfoParser.getVersion());
        Properties config = new Properties();
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, job.get("KAFKA_BROKER"));
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, job.get("KAFKA_GROUP"));
        config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        config.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        config.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, COMMIT_MS);
        config.put(StreamsConfig.STATE_DIR_CONFIG, job.get("KAFKA_DIR"));
        config.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        config.put(ConsumerConfig.METADATA_MAX_AGE_CONFIG, REFRESH_MS);

        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(Arrays.asList(job.get("KAFKA_TOPICS").split(","))).to(job.get("KAFKA_OUTPUT"));
        KafkaStreams streams = new KafkaStreams(builder.build(), config);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
        new CountDownLatch(1).await();
    }

    private CopyStreams() { }
}
