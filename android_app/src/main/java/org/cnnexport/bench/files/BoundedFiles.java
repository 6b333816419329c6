package org.cnnexport.bench.files;

import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import org.cnnexport.bench.errors.Failure;

/** Reads files without trusting their size. */
public final class BoundedFiles {
    private static final int CHUNK = 1 << 16;

    private BoundedFiles() {
    }

    /** Returns a UTF-8 text of at most {@code most} bytes. */
    public static String text(File file, int most) throws Failure {
        byte[] content = bytes(file, most);
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(content)).toString();
        } catch (CharacterCodingException error) {
            throw Failure.refused(file + " is not UTF-8 text; push it again");
        }
    }

    private static byte[] bytes(File file, int most) throws Failure {
        requireFile(file);
        byte[] content = new byte[most + 1];
        int length = 0;
        try (InputStream stream = new FileInputStream(file)) {
            int got;
            while (length <= most && (got = stream.read(content, length, most + 1 - length)) > 0) {
                length += got;
            }
        } catch (IOException error) {
            throw unreadable(file, error);
        }
        if (length > most) {
            throw Failure.refused(file + " is larger than " + most + " bytes");
        }
        return Arrays.copyOf(content, length);
    }

    /** Fills {@code target} from a file that must be exactly as large. */
    public static void fill(File file, ByteBuffer target) throws Failure {
        requireFile(file);
        if (file.length() != target.capacity()) {
            throw Failure.refused(file + " has " + file.length() + " bytes, the input "
                + target.capacity());
        }
        try (FileInputStream stream = new FileInputStream(file)) {
            ByteBuffer rest = target.duplicate();
            while (rest.hasRemaining() && stream.getChannel().read(rest) > 0) {
                continue;
            }
            if (rest.hasRemaining()) {
                throw Failure.refused(file + " became shorter while it was read");
            }
        } catch (IOException error) {
            throw unreadable(file, error);
        }
    }

    /** Returns the content's SHA-256 in hexadecimal digits. */
    public static String sha256(File file) throws Failure {
        requireFile(file);
        try (InputStream stream = new FileInputStream(file)) {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            byte[] chunk = new byte[CHUNK];
            for (int got; (got = stream.read(chunk)) > 0; ) {
                digest.update(chunk, 0, got);
            }
            return hexadecimal(digest.digest());
        } catch (IOException error) {
            throw unreadable(file, error);
        } catch (NoSuchAlgorithmException error) {
            throw new AssertionError("every Java has SHA-256", error);
        }
    }

    private static String hexadecimal(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        for (byte value : bytes) {
            text.append(Character.forDigit(value >> 4 & 0xF, 16));
            text.append(Character.forDigit(value & 0xF, 16));
        }
        return text.toString();
    }

    private static void requireFile(File file) throws Failure {
        if (!file.isFile()) {
            throw Failure.refused("there is no file " + file + "; push it again");
        }
    }

    private static Failure unreadable(File file, IOException error) {
        return Failure.refused("cannot read " + file + ": " + Failure.reason(error));
    }
}
