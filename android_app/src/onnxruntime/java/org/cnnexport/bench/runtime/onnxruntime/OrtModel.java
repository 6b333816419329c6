package org.cnnexport.bench.runtime.onnxruntime;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.LinkedHashMap;
import java.util.Map;
import org.cnnexport.bench.errors.Failure;
import org.cnnexport.bench.runtime.Model;
import org.cnnexport.bench.tensor.TensorBuffer;

/** A session with its inputs; every run allocates its outputs and frees the last ones. */
final class OrtModel implements Model {
    private final OrtSession session;
    private final Map<String, OnnxTensor> inputs;
    private OrtSession.Result results;

    OrtModel(OrtSession session, Map<String, OnnxTensor> inputs) {
        this.session = session;
        this.inputs = inputs;
    }

    /** The last results are freed inside, as Python's reference counting does on the host. */
    @Override
    public void infer() throws OrtException {
        if (results != null) {
            results.close();
        }
        results = session.run(inputs);
    }

    @Override
    public Map<String, TensorBuffer> outputs() throws Failure {
        Map<String, TensorBuffer> outputs = new LinkedHashMap<>();
        for (Map.Entry<String, OnnxValue> result : results) {
            if (!(result.getValue() instanceof OnnxTensor tensor)) {
                throw Failure.refused("output '" + result.getKey() + "' is not a tensor");
            }
            ByteBuffer values = tensor.getByteBuffer().order(ByteOrder.nativeOrder());
            outputs.put(result.getKey(), new TensorBuffer(
                tensor.getInfo().getShape(), OrtRuntime.typeOf(tensor.getInfo().type), values));
        }
        return outputs;
    }

    @Override
    public void close() throws OrtException {
        if (results != null) {
            results.close();
        }
        session.close();
        for (OnnxTensor input : inputs.values()) {
            input.close();
        }
    }
}
