// SPDX-License-Identifier: Apache-2.0

import java.io.FileInputStream;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;

/** The key=value arguments of a test program. Each must be asked for: a misspelt one is an error. */
final class Arguments {
    private final Map<String, String> left = new HashMap<>();

    Arguments(String[] args) {
        for (String arg : args) {
            int at = arg.indexOf('=');
            if (at < 0) {
                throw new IllegalArgumentException("not key=value: " + arg);
            }
            left.put(arg.substring(0, at), arg.substring(at + 1));
        }
    }

    String text(String key) {
        String value = left.remove(key);
        if (value == null) {
            throw new IllegalArgumentException("missing " + key + "=");
        }
        return value;
    }

    long number(String key) {
        return Long.parseLong(text(key));
    }

    /** The properties file that config= names. */
    Properties config() throws Exception {
        Properties properties = new Properties();
        try (FileInputStream in = new FileInputStream(text("config"))) {
            properties.load(in);
        }
        return properties;
    }

    void end() {
        if (!left.isEmpty()) {
            throw new IllegalArgumentException("unknown " + left.keySet());
        }
    }
}
