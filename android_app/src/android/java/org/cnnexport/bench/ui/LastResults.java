package org.cnnexport.bench.ui;

import android.content.Context;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.cnnexport.bench.errors.Failure;
import org.cnnexport.bench.files.BoundedFiles;

/** What the last run showed, kept for whoever opens the app later. */
public final class LastResults {
    private static final int BYTES_MAX = 1 << 20;

    private LastResults() {
    }

    static void save(Context context, String text) {
        try (FileOutputStream stream = new FileOutputStream(file(context))) {
            stream.write(text.getBytes(StandardCharsets.UTF_8));
        } catch (IOException full) {
            // Only a convenience: the results themselves went where the options said.
            file(context).delete();
        }
    }

    public static String read(Context context) {
        if (!file(context).isFile()) {
            return "No run yet. Start one on the computer: cnn-bench run … --device adb";
        }
        try {
            return BoundedFiles.text(file(context), BYTES_MAX);
        } catch (Failure unreadable) {
            return unreadable.getMessage();
        }
    }

    private static File file(Context context) {
        return new File(context.getFilesDir(), "last_results.txt");
    }
}
