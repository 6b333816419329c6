package org.cnnexport.bench.device;

import java.io.BufferedReader;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/** One field of the kernel's {@code Name: value} files. */
final class ProcFiles {
    private static final long KIBIBYTE = 1024;

    private ProcFiles() {
    }

    /** Returns what stands behind {@code name:}, null where it cannot be read. */
    static String field(File file, String name) {
        try (BufferedReader reader = new BufferedReader(
            new InputStreamReader(new FileInputStream(file), StandardCharsets.UTF_8))) {
            for (String line; (line = reader.readLine()) != null; ) {
                if (line.startsWith(name + ":")) {
                    return line.substring(name.length() + 1).trim();
                }
            }
        } catch (IOException unreadable) {
            return null;
        }
        return null;
    }

    /** Returns a field in kibibytes as bytes, null where there is none. */
    static Long bytes(File file, String name) {
        String text = field(file, name);
        if (text == null || !text.matches("[0-9]{1,15} kB")) {
            return null;
        }
        return Long.parseLong(text.substring(0, text.length() - " kB".length())) * KIBIBYTE;
    }
}
