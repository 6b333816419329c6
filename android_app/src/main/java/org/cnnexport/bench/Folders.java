package org.cnnexport.bench;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * Where a run may read and write.
 *
 * <p>A process of the shell may do what the shell may. An Activity acts with the app's rights for
 * whoever started it, so it keeps to named folders; links are followed before it is decided.
 */
final class Folders {
    private final List<File> readable;
    private final List<File> writable;

    private Folders(List<File> readable, List<File> writable) {
        this.readable = readable;
        this.writable = writable;
    }

    static Folders unrestricted() {
        return new Folders(null, null);
    }

    /** Only what lies inside these folders; what is writable is readable too. */
    static Folders within(List<File> readable, List<File> writable) {
        List<File> both = new ArrayList<>(readable);
        both.addAll(writable);
        return new Folders(both, writable);
    }

    void requireReadable(File file) throws Failure {
        require(file, readable, "read");
    }

    void requireWritable(File file) throws Failure {
        require(file, writable, "write");
    }

    private static void require(File file, List<File> folders, String verb) throws Failure {
        if (folders != null && !isInside(file, folders)) {
            throw Failures.refused("the app may not " + verb + " " + file + ", only inside "
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
            throw Failures.refused("cannot resolve " + file + ": " + Failures.reason(error));
        }
    }
}
