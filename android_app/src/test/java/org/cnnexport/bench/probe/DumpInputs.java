package org.cnnexport.bench.probe;

import java.io.File;
import java.io.FileOutputStream;
import java.util.Map;
import org.cnnexport.bench.tensor.TensorBuffer;

/** Writes the inputs of probe files as raw bytes, for comparison with numpy's: PROBE OUT…. */
public final class DumpInputs {
    private DumpInputs() {
    }

    /** Writes the inputs of each probe file one after the other. */
    public static void main(String[] arguments) throws Exception {
        for (int i = 0; i < arguments.length; i += 2) {
            ProbeFile probe = ProbeReader.read(new File(arguments[i]));
            try (FileOutputStream out = new FileOutputStream(arguments[i + 1])) {
                for (TensorBuffer input : ProbeInputs.of(probe).values()) {
                    out.getChannel().write(input.values());
                }
            }
        }
    }
}
