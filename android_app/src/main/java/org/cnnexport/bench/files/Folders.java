package org.cnnexport.bench.files;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.cnnexport.bench.errors.Failure;

/**
 * Where a run may read and write.
 *
 * <p>A process of the shell may do what the shell may. An Activity acts with the app's rights for
 * whoever started it, so it keeps to named folders; links are followed before it is decided.
 */
public final class Folders {
    private final List<File> readable;
    private final List<File> writable;

    private Folders(List<File> readable, List<File> writable) {
        this.readable = readable;
        this.writable = writable;
    }

    public static Folders unrestricted() {
        return new Folders(null, null);
    }

    /** Only what lies inside these folders; what is writable is readable too. */
    public static Folders within(List<File> readable, List<File> writable) {
        List<File> both = new ArrayList<>(readable);
        both.addAll(writable);
        return new Folders(both, writable);
    }

    public void requireReadable(File file) throws Failure {
        require(file, readable, "read");
    }

    public void requireWritable(File file) throws Failure {
        require(file, writable, "write");
    }

    private static void require(File file, List<File> folders, String verb) throws Failure {
        if (folders != null && !isInside(file, folders)) {
            throw Failure.refused("the app may not " + verb + " " + file + ", only inside "
                + folders);
        }
    }

    private static boolean isInside(File file, List<File> folders) throws Failure {
        try {
            String path = file.getCanonicalPath();
            for (File folder : folders) {
                if (path.startsWith(folder.getCanonicalPath() + File.separator)) {
                    return true;
                }
            }
            return false;
        } catch (IOException error) {
            throw Failure.refused("cannot resolve " + file + ": " + Failure.reason(error));
        }
    }
}
