package org.cnnexport.bench;

import java.io.File;
import java.io.FileOutputStream;
import java.nio.ByteBuffer;
import java.util.List;

/** Writes the inputs of probe files as raw bytes, for comparison with numpy's: PROBE OUT…. */
public final class DumpInputs {
    private DumpInputs() {
    }

    /** Writes the inputs of each probe file one after the other. */
    public static void main(String[] arguments) throws Exception {
        for (int i = 0; i < arguments.length; i += 2) {
            List<ByteBuffer> inputs = ProbeInputs.of(ProbeReader.read(new File(arguments[i])));
            try (FileOutputStream out = new FileOutputStream(arguments[i + 1])) {
                for (ByteBuffer input : inputs) {
                    out.getChannel().write(input);
                }
            }
        }
    }
}
