package org.cnnexport.bench;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.LinkedHashMap;
import java.util.Map;
import org.pytorch.executorch.DType;
import org.pytorch.executorch.EValue;
import org.pytorch.executorch.Module;
import org.pytorch.executorch.Tensor;

/** A method with its inputs; every run makes its outputs anew. */
final class ExecuTorchModel implements Model {
    private final Module module;
    private final EValue[] inputs;
    private final ProbeFile probe;
    private EValue[] results = {};

    ExecuTorchModel(Module module, EValue[] inputs, ProbeFile probe) {
        this.module = module;
        this.inputs = inputs;
        this.probe = probe;
    }

    @Override
    public void infer() {
        results = module.forward(inputs);
    }

    /** The format has no names, so the manifest's are used. */
    @Override
    public Map<String, Output> outputs() throws Failure {
        Map<String, Output> outputs = new LinkedHashMap<>();
        boolean named = results.length == probe.outputs().size();
        for (int i = 0; i < results.length; i++) {
            String name = named ? probe.outputs().get(i).name() : String.valueOf(i);
            outputs.put(name, output(results[i].toTensor()));
        }
        return outputs;
    }

    private static Output output(Tensor tensor) throws Failure {
        DType type = tensor.dtype();
        return switch (type) {
            case FLOAT -> floats(tensor);
            case DOUBLE -> doubles(tensor);
            case INT32 -> ints(tensor);
            case INT64 -> longs(tensor);
            case INT8 -> bytes(tensor, ElementType.INT8, tensor.getDataAsByteArray());
            case UINT8 -> bytes(tensor, ElementType.UINT8, tensor.getDataAsUnsignedByteArray());
            default -> throw Failures.refused("an output is of type " + type);
        };
    }

    private static Output floats(Tensor tensor) {
        ByteBuffer values = room(tensor, ElementType.FLOAT32);
        values.asFloatBuffer().put(tensor.getDataAsFloatArray());
        return new Output(tensor.shape(), ElementType.FLOAT32, values);
    }

    private static Output doubles(Tensor tensor) {
        ByteBuffer values = room(tensor, ElementType.FLOAT64);
        values.asDoubleBuffer().put(tensor.getDataAsDoubleArray());
        return new Output(tensor.shape(), ElementType.FLOAT64, values);
    }

    private static Output ints(Tensor tensor) {
        ByteBuffer values = room(tensor, ElementType.INT32);
        values.asIntBuffer().put(tensor.getDataAsIntArray());
        return new Output(tensor.shape(), ElementType.INT32, values);
    }

    private static Output longs(Tensor tensor) {
        ByteBuffer values = room(tensor, ElementType.INT64);
        values.asLongBuffer().put(tensor.getDataAsLongArray());
        return new Output(tensor.shape(), ElementType.INT64, values);
    }

    private static Output bytes(Tensor tensor, ElementType type, byte[] values) {
        return new Output(tensor.shape(), type, ByteBuffer.wrap(values));
    }

    private static ByteBuffer room(Tensor tensor, ElementType type) {
        return ByteBuffer.allocate((int) tensor.numel() * type.bytes)
            .order(ByteOrder.nativeOrder());
    }

    @Override
    public void close() {
        module.destroy();
    }
}
