package org.cnnexport.bench.runtime.executorch;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.cnnexport.bench.errors.Failure;
import org.cnnexport.bench.runtime.Model;
import org.cnnexport.bench.tensor.ElementType;
import org.cnnexport.bench.tensor.TensorBuffer;
import org.pytorch.executorch.DType;
import org.pytorch.executorch.EValue;
import org.pytorch.executorch.Module;
import org.pytorch.executorch.Tensor;

/** A method with its inputs; every run makes its outputs anew. */
final class ExecuTorchModel implements Model {
    private final Module module;
    private final EValue[] inputs;
    private final List<String> outputNames;
    private EValue[] results = {};

    ExecuTorchModel(Module module, EValue[] inputs, List<String> outputNames) {
        this.module = module;
        this.inputs = inputs;
        this.outputNames = outputNames;
    }

    @Override
    public void infer() {
        results = module.forward(inputs);
    }

    /** The format has no names, so the manifest's are used. */
    @Override
    public Map<String, TensorBuffer> outputs() throws Failure {
        Map<String, TensorBuffer> outputs = new LinkedHashMap<>();
        boolean named = results.length == outputNames.size();
        for (int i = 0; i < results.length; i++) {
            String name = named ? outputNames.get(i) : String.valueOf(i);
            outputs.put(name, output(results[i].toTensor()));
        }
        return outputs;
    }

    private static TensorBuffer output(Tensor tensor) throws Failure {
        DType type = tensor.dtype();
        return switch (type) {
            case FLOAT -> floats(tensor);
            case DOUBLE -> doubles(tensor);
            case INT32 -> ints(tensor);
            case INT64 -> longs(tensor);
            case INT8 -> bytes(tensor, ElementType.INT8, tensor.getDataAsByteArray());
            case UINT8 -> bytes(tensor, ElementType.UINT8, tensor.getDataAsUnsignedByteArray());
            default -> throw Failure.refused("an output is of type " + type);
        };
    }

    private static TensorBuffer floats(Tensor tensor) {
        ByteBuffer values = room(tensor, ElementType.FLOAT32);
        values.asFloatBuffer().put(tensor.getDataAsFloatArray());
        return new TensorBuffer(tensor.shape(), ElementType.FLOAT32, values);
    }

    private static TensorBuffer doubles(Tensor tensor) {
        ByteBuffer values = room(tensor, ElementType.FLOAT64);
        values.asDoubleBuffer().put(tensor.getDataAsDoubleArray());
        return new TensorBuffer(tensor.shape(), ElementType.FLOAT64, values);
    }

    private static TensorBuffer ints(Tensor tensor) {
        ByteBuffer values = room(tensor, ElementType.INT32);
        values.asIntBuffer().put(tensor.getDataAsIntArray());
        return new TensorBuffer(tensor.shape(), ElementType.INT32, values);
    }

    private static TensorBuffer longs(Tensor tensor) {
        ByteBuffer values = room(tensor, ElementType.INT64);
        values.asLongBuffer().put(tensor.getDataAsLongArray());
        return new TensorBuffer(tensor.shape(), ElementType.INT64, values);
    }

    private static TensorBuffer bytes(Tensor tensor, ElementType type, byte[] values) {
        return new TensorBuffer(tensor.shape(), type, ByteBuffer.wrap(values));
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
