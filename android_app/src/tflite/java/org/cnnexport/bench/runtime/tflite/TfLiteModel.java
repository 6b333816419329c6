package org.cnnexport.bench.runtime.tflite;

import java.io.Closeable;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.cnnexport.bench.errors.Failure;
import org.cnnexport.bench.runtime.Model;
import org.cnnexport.bench.tensor.ElementType;
import org.cnnexport.bench.tensor.TensorBuffer;
import org.tensorflow.lite.DataType;
import org.tensorflow.lite.Interpreter;
import org.tensorflow.lite.Tensor;

/** An interpreter whose inputs are direct buffers and whose outputs stay in place: no copies. */
final class TfLiteModel implements Model {
    private final Interpreter interpreter;
    private final Closeable delegate;
    private final Object[] inputs;
    private final Map<Integer, Object> untouched = new HashMap<>();
    private final Map<String, Integer> outputSlots = new LinkedHashMap<>();

    TfLiteModel(Interpreter interpreter, Closeable delegate, Map<String, TensorBuffer> values,
        List<String> outputNames) throws Failure {
        this.interpreter = interpreter;
        this.delegate = delegate;
        TfLiteNames names = new TfLiteNames(interpreter);
        inputs = new Object[interpreter.getInputTensorCount()];
        if (inputs.length != values.size()) {
            throw Failure.refused("the model has " + inputs.length + " inputs, its manifest "
                + values.size());
        }
        int position = 0;
        for (Map.Entry<String, TensorBuffer> input : values.entrySet()) {
            int slot = names.inputSlot(input.getKey(), position++);
            fitSlot(slot, input.getKey(), input.getValue());
            inputs[slot] = input.getValue().values();
        }
        interpreter.allocateTensors();
        for (int i = 0; i < interpreter.getOutputTensorCount(); i++) {
            untouched.put(i, null);
        }
        for (int i = 0; i < outputNames.size(); i++) {
            String name = outputNames.get(i);
            outputSlots.put(name, names.outputSlot(name, i));
        }
    }

    /** Gives the slot the input's shape; a dynamic batch has another one in the file. */
    private void fitSlot(int slot, String name, TensorBuffer input) throws Failure {
        Tensor tensor = interpreter.getInputTensor(slot);
        if (typeOf(tensor) != input.type()) {
            throw Failure.refused("input '" + name + "' is " + tensor.dataType()
                + " in the file and " + input.type().label() + " in its manifest");
        }
        if (!Arrays.equals(tensor.shape(), input.intShape())) {
            interpreter.resizeInput(slot, input.intShape());
        }
    }

    @Override
    public void infer() {
        interpreter.runForMultipleInputsOutputs(inputs, untouched);
    }

    @Override
    public Map<String, TensorBuffer> outputs() throws Failure {
        Map<String, TensorBuffer> outputs = new LinkedHashMap<>();
        for (Map.Entry<String, Integer> slot : outputSlots.entrySet()) {
            Tensor tensor = interpreter.getOutputTensor(slot.getValue());
            long[] shape = Arrays.stream(tensor.shape()).asLongStream().toArray();
            ByteBuffer values = tensor.asReadOnlyBuffer().order(ByteOrder.nativeOrder());
            outputs.put(slot.getKey(), new TensorBuffer(shape, typeOf(tensor), values));
        }
        return outputs;
    }

    private static ElementType typeOf(Tensor tensor) throws Failure {
        DataType type = tensor.dataType();
        if (!ElementType.labels().contains(type.name().toLowerCase(Locale.ROOT))) {
            throw Failure.refused("tensor '" + tensor.name() + "' is of type " + type);
        }
        return ElementType.valueOf(type.name());
    }

    @Override
    public void close() throws Exception {
        interpreter.close();
        delegate.close();
    }
}
