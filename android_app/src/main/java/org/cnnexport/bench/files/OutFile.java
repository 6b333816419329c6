package org.cnnexport.bench.files;

import java.io.BufferedOutputStream;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import org.cnnexport.bench.errors.Failure;

/** A file that appears under its name only when it is whole; until then it ends in .partial. */
public final class OutFile {
    private static final int BUFFER = 1 << 16;

    private final File file;
    private final File partial;
    private OutputStream stream;
    private FileDescriptor descriptor;

    public OutFile(File file) throws Failure {
        this.file = file;
        partial = new File(file.getPath() + ".partial");
        try {
            open();
        } catch (IOException error) {
            throw failure(error);
        }
    }

    private void open() throws IOException {
        FileOutputStream opened = new FileOutputStream(partial);
        descriptor = opened.getFD();
        stream = new BufferedOutputStream(opened, BUFFER);
    }

    public void write(byte[] bytes) throws Failure {
        try {
            stream.write(bytes);
        } catch (IOException error) {
            throw failure(error);
        }
    }

    /** Drops what was written: the room it took may be what is missing. */
    public void restart() throws Failure {
        try {
            stream.close();
            open();
        } catch (IOException error) {
            throw failure(error);
        }
    }

    /** Gives the file its name, after its bytes are on the disk. */
    public void commit() throws Failure {
        try {
            stream.flush();
            descriptor.sync();
            stream.close();
        } catch (IOException error) {
            throw failure(error);
        }
        if (!partial.renameTo(file)) {
            throw Failure.refused("cannot rename " + partial + " to " + file);
        }
    }

    /** Leaves nothing behind. */
    public void discard() {
        try {
            stream.close();
        } catch (IOException gone) {
            // It is deleted all the same.
        }
        partial.delete();
    }

    private Failure failure(IOException error) {
        return Failure.refused("cannot write " + partial + ": " + Failure.reason(error));
    }
}
