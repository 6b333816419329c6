package org.cnnexport.bench.probe;

/** Probe files for tests. */
final class ProbeFiles {
    static final String SHA256 = "0123456789abcdef".repeat(4);
    static final String WHOLE = String.join("\n",
        "protocol=3",
        "name=skipnet.onnx",
        "sha256=" + SHA256,
        "runtime=onnxruntime",
        "seed=18446744073709551615",
        "values=pixel",
        "tolerance=1.1e-05",
        "input.0.name=image",
        "input.0.shape=1,2,3,4",
        "input.0.dtype=float32",
        "input.0.layout=nhwc",
        "input.1.name=a=b",
        "input.1.shape=2",
        "input.1.dtype=int64",
        "input.1.layout=none",
        "input.1.file=/data/x.bin",
        "output.0.name=logits",
        "output.0.shape=1,3",
        "output.0.dtype=float16",
        "output.0.rms=1.25",
        "output.0.values=0.5,-2e3,1",
        "output.1.name=scalar",
        "output.1.shape=",
        "output.1.dtype=int32",
        "output.1.rms=0.0",
        "output.1.whole=true",
        "output.1.values=") + "\n";

    private ProbeFiles() {
    }
}
