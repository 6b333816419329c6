package org.cnnexport.bench.files;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.cnnexport.bench.errors.Failure;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class FoldersTest {
    @TempDir
    private Path folder;

    @Test
    void foldersAreKeptTo() throws Exception {
        File own = Files.createDirectory(folder.resolve("own")).toFile();
        File pushed = Files.createDirectory(folder.resolve("pushed")).toFile();
        Files.createDirectory(folder.resolve("own-not"));
        Files.createSymbolicLink(folder.resolve("own/link"), folder.resolve("pushed"));
        Folders folders = Folders.within(List.of(pushed), List.of(own));
        folders.requireReadable(new File(pushed, "model"));
        folders.requireReadable(new File(own, "model"));
        folders.requireWritable(new File(own, "out"));
        for (String path : new String[] {
            "pushed/out", "own-not/out", "own/../pushed/out", "own/link/out", "own"}) {
            File file = folder.resolve(path).toFile();
            assertEquals(Failure.REFUSED, assertThrows(
                Failure.class, () -> folders.requireWritable(file), path).exitCode());
        }
        assertThrows(Failure.class, () -> folders.requireReadable(new File("/etc/passwd")));
        Folders.unrestricted().requireWritable(new File("/etc/passwd"));
    }
}
