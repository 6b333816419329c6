package org.cnnexport.bench.protocol;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.cnnexport.bench.errors.Failure;
import org.cnnexport.bench.files.OutFile;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class LineSinkTest {
    private static final byte[] FIRST = "first\n".getBytes(StandardCharsets.UTF_8);
    private static final byte[] LAST = "last\n".getBytes(StandardCharsets.UTF_8);

    @TempDir
    private Path folder;
    private final ByteArrayOutputStream stream = new ByteArrayOutputStream();
    private File out;
    private File partial;

    @BeforeEach
    void names() {
        out = folder.resolve("out").toFile();
        partial = folder.resolve("out.partial").toFile();
    }

    @Test
    void theFileAppearsWhenItIsWhole() throws Exception {
        LineSink sink = new LineSink(stream);
        sink.alsoTo(new OutFile(out));
        sink.write(FIRST);
        assertFalse(out.exists());
        assertTrue(partial.exists());
        sink.finish(LAST);
        assertEquals("first\nlast\n", Files.readString(out.toPath()));
        assertEquals("first\nlast\n", stream.toString(StandardCharsets.UTF_8));
        assertFalse(partial.exists());
    }

    @Test
    void aFailureStandsAloneInTheFile() throws Exception {
        LineSink sink = new LineSink(stream);
        sink.alsoTo(new OutFile(out));
        sink.write(FIRST);
        sink.fail(LAST);
        assertEquals("last\n", Files.readString(out.toPath()));
        assertEquals("first\nlast\n", stream.toString(StandardCharsets.UTF_8));
    }

    @Test
    void aBrokenStreamLosesNothingWhileThereIsAFile() throws Exception {
        LineSink sink = new LineSink(new Broken());
        sink.alsoTo(new OutFile(out));
        sink.write(FIRST);
        sink.flush();
        sink.finish(LAST);
        assertEquals("first\nlast\n", Files.readString(out.toPath()));
    }

    @Test
    void aBrokenStreamAloneIsAFailure() throws Exception {
        LineSink sink = new LineSink(new Broken());
        sink.write(FIRST);
        assertThrows(Failure.class, sink::flush);
    }

    /** The link lets the kernel's always-full device stand for the partial file. */
    @Test
    void aFullDiskIsToldOnTheStreamInPlaceOfTheEnd() throws Exception {
        Files.createSymbolicLink(partial.toPath(), Path.of("/dev/full"));
        LineSink sink = new LineSink(stream);
        sink.alsoTo(new OutFile(out));
        sink.write(FIRST);
        Failure failure = assertThrows(Failure.class, () -> sink.finish(LAST));
        assertEquals(Failure.REFUSED, failure.exitCode());
        assertTrue(failure.getMessage().contains("No space left"), failure.getMessage());
        sink.fail("failure\n".getBytes(StandardCharsets.UTF_8));
        assertEquals("first\nfailure\n", stream.toString(StandardCharsets.UTF_8));
        assertFalse(out.exists());
    }

    @Test
    void aFolderThatIsNotThereIsRefused() {
        File nowhere = folder.resolve("no").resolve("out").toFile();
        assertEquals(Failure.REFUSED,
            assertThrows(Failure.class, () -> new OutFile(nowhere)).exitCode());
    }

    private static final class Broken extends OutputStream {
        @Override
        public void write(int value) throws IOException {
            throw new IOException("Broken pipe");
        }
    }
}
