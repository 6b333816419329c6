package org.cnnexport.bench;

import java.io.Closeable;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
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

    TfLiteModel(Interpreter interpreter, Closeable delegate, ProbeFile probe,
        List<ByteBuffer> values) throws Failure {
        this.interpreter = interpreter;
        this.delegate = delegate;
        TfLiteNames names = new TfLiteNames(interpreter);
        inputs = new Object[interpreter.getInputTensorCount()];
        if (inputs.length != values.size()) {
            throw Failures.refused("the model has " + inputs.length + " inputs, its manifest "
                + values.size());
        }
        for (int i = 0; i < values.size(); i++) {
            TensorSpec spec = probe.inputs().get(i);
            inputs[place(spec, names.inputSlot(spec.name(), i))] = values.get(i);
        }
        interpreter.allocateTensors();
        for (int i = 0; i < interpreter.getOutputTensorCount(); i++) {
            untouched.put(i, null);
        }
        for (int i = 0; i < probe.outputs().size(); i++) {
            String name = probe.outputs().get(i).name();
            outputSlots.put(name, names.outputSlot(name, i));
        }
    }

    private int place(TensorSpec spec, int slot) throws Failure {
        Tensor tensor = interpreter.getInputTensor(slot);
        if (typeOf(tensor) != spec.type()) {
            throw Failures.refused("input '" + spec.name() + "' is " + tensor.dataType()
                + " in the file and " + spec.type().label() + " in its manifest");
        }
        if (!Arrays.equals(tensor.shape(), spec.intShape())) {
            interpreter.resizeInput(slot, spec.intShape());
        }
        return slot;
    }

    @Override
    public void infer() {
        interpreter.runForMultipleInputsOutputs(inputs, untouched);
    }

    @Override
    public Map<String, Output> outputs() throws Failure {
        Map<String, Output> outputs = new LinkedHashMap<>();
        for (Map.Entry<String, Integer> slot : outputSlots.entrySet()) {
            Tensor tensor = interpreter.getOutputTensor(slot.getValue());
            long[] shape = Arrays.stream(tensor.shape()).asLongStream().toArray();
            ByteBuffer values = tensor.asReadOnlyBuffer().order(ByteOrder.nativeOrder());
            outputs.put(slot.getKey(), new Output(shape, typeOf(tensor), values));
        }
        return outputs;
    }

    private static ElementType typeOf(Tensor tensor) throws Failure {
        DataType type = tensor.dataType();
        if (!ElementType.labels().contains(type.name().toLowerCase(Locale.ROOT))) {
            throw Failures.refused("tensor '" + tensor.name() + "' is of type " + type);
        }
        return ElementType.valueOf(type.name());
    }

    @Override
    public void close() throws Exception {
        interpreter.close();
        delegate.close();
    }
}
