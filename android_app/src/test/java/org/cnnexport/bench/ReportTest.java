package org.cnnexport.bench;

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
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ReportTest {
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
        Report report = new Report(stream);
        report.alsoTo(new OutFile(out));
        report.write(FIRST);
        assertFalse(out.exists());
        assertTrue(partial.exists());
        report.finish(LAST);
        assertEquals("first\nlast\n", Files.readString(out.toPath()));
        assertEquals("first\nlast\n", stream.toString(StandardCharsets.UTF_8));
        assertFalse(partial.exists());
    }

    @Test
    void aFailureStandsAloneInTheFile() throws Exception {
        Report report = new Report(stream);
        report.alsoTo(new OutFile(out));
        report.write(FIRST);
        report.fail(LAST);
        assertEquals("last\n", Files.readString(out.toPath()));
        assertEquals("first\nlast\n", stream.toString(StandardCharsets.UTF_8));
    }

    @Test
    void aBrokenStreamLosesNothingWhileThereIsAFile() throws Exception {
        Report report = new Report(new Broken());
        report.alsoTo(new OutFile(out));
        report.write(FIRST);
        report.flush();
        report.finish(LAST);
        assertEquals("first\nlast\n", Files.readString(out.toPath()));
    }

    @Test
    void aBrokenStreamAloneIsAFailure() throws Exception {
        Report report = new Report(new Broken());
        report.write(FIRST);
        assertThrows(Failure.class, report::flush);
    }

    /** The link lets the kernel's always-full device stand for the partial file. */
    @Test
    void aFullDiskIsToldOnTheStreamInPlaceOfTheEnd() throws Exception {
        Files.createSymbolicLink(partial.toPath(), Path.of("/dev/full"));
        Report report = new Report(stream);
        report.alsoTo(new OutFile(out));
        report.write(FIRST);
        Failure failure = assertThrows(Failure.class, () -> report.finish(LAST));
        assertEquals(Failures.REFUSED, failure.exitCode());
        assertTrue(failure.getMessage().contains("No space left"), failure.getMessage());
        report.fail("failure\n".getBytes(StandardCharsets.UTF_8));
        assertEquals("first\nfailure\n", stream.toString(StandardCharsets.UTF_8));
        assertFalse(out.exists());
    }

    @Test
    void aFolderThatIsNotThereIsRefused() {
        File nowhere = folder.resolve("no").resolve("out").toFile();
        assertEquals(Failures.REFUSED,
            assertThrows(Failure.class, () -> new OutFile(nowhere)).exitCode());
    }

    private static final class Broken extends OutputStream {
        @Override
        public void write(int value) throws IOException {
            throw new IOException("Broken pipe");
        }
    }
}
