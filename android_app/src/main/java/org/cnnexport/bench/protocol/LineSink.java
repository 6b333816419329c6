package org.cnnexport.bench.protocol;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import org.cnnexport.bench.errors.Failure;
import org.cnnexport.bench.files.OutFile;

/**
 * Where the lines of one run go: to a stream, and to a file where one is named.
 *
 * <p>The stream may break (a dropped cable) without loss while there is a file. A file that cannot
 * be written is a failure, written to the stream before any {@code end}.
 */
public final class LineSink {
    private static final int BUFFER = 1 << 16;

    private final OutputStream stream;
    private OutFile file;
    private boolean streamLost;

    /** Writes to {@code stream}; null for nowhere. */
    public LineSink(OutputStream stream) {
        this.stream = stream == null ? null : new BufferedOutputStream(stream, BUFFER);
    }

    /** Writes to {@code file} too, from now on. */
    public void alsoTo(OutFile file) {
        this.file = file;
    }

    /** Writes a line that others follow. */
    void write(byte[] line) throws Failure {
        if (file != null) {
            file.write(line);
        }
        toStream(line);
    }

    void flush() throws Failure {
        if (stream == null) {
            return;
        }
        try {
            stream.flush();
        } catch (IOException error) {
            lost(error);
        }
    }

    /** Writes the last line: the file gets its name before the stream says that all is done. */
    void finish(byte[] line) throws Failure {
        if (file != null) {
            file.write(line);
            file.commit();
        }
        toStream(line);
        flush();
    }

    /** Writes a failure as the last line; in the file it is the only one, as nothing else counts. */
    void fail(byte[] line) throws Failure {
        if (file != null) {
            failInFile(line);
        }
        toStream(line);
        flush();
    }

    private void failInFile(byte[] line) {
        try {
            file.restart();
            file.write(line);
            file.commit();
        } catch (Failure unwritable) {
            file.discard();
        }
    }

    private void toStream(byte[] line) throws Failure {
        if (stream == null) {
            return;
        }
        try {
            stream.write(line);
        } catch (IOException error) {
            lost(error);
        }
    }

    private void lost(IOException error) throws Failure {
        boolean known = streamLost;
        streamLost = true;
        if (file == null && !known) {
            throw new Failure(Failure.INTERNAL,
                "cannot write to the standard output: " + Failure.reason(error));
        }
    }
}
