package org.cnnexport.bench.runtime.tflite;

import java.lang.reflect.InvocationTargetException;
import org.cnnexport.bench.errors.Failure;
import org.tensorflow.lite.Interpreter;

/**
 * Finds slots by the names of the file's one signature, which are the manifest's.
 *
 * <p>A file without signature has only tensor names; there the order of the manifest counts.
 */
final class TfLiteNames {
    private final Interpreter interpreter;
    private final String signature;

    TfLiteNames(Interpreter interpreter) throws Failure {
        this.interpreter = interpreter;
        String[] keys = signatures(interpreter);
        if (keys.length > 1) {
            throw Failure.refused("the model has " + keys.length
                + " signatures; export it with one");
        }
        signature = keys.length == 0 ? null : keys[0];
    }

    /** The method has had two names: until 2.6, and since. */
    private static String[] signatures(Interpreter interpreter) {
        for (String name : new String[] {"getSignatureKeys", "getSignatureDefNames"}) {
            try {
                return (String[]) Interpreter.class.getMethod(name).invoke(interpreter);
            } catch (NoSuchMethodException otherVersion) {
                continue;
            } catch (IllegalAccessException | InvocationTargetException error) {
                throw new IllegalStateException(error);
            }
        }
        throw new IllegalStateException("this TFLite tells no signatures");
    }

    int inputSlot(String name, int position) throws Failure {
        if (signature == null) {
            return position;
        }
        int index = known(name,
            () -> interpreter.getInputTensorFromSignature(name, signature).index());
        for (int slot = 0; slot < interpreter.getInputTensorCount(); slot++) {
            if (interpreter.getInputTensor(slot).index() == index) {
                return slot;
            }
        }
        throw unknown(name);
    }

    int outputSlot(String name, int position) throws Failure {
        if (signature == null) {
            return position;
        }
        int index = known(name,
            () -> interpreter.getOutputTensorFromSignature(name, signature).index());
        for (int slot = 0; slot < interpreter.getOutputTensorCount(); slot++) {
            if (interpreter.getOutputTensor(slot).index() == index) {
                return slot;
            }
        }
        throw unknown(name);
    }

    private interface Lookup {
        int index();
    }

    private static int known(String name, Lookup lookup) throws Failure {
        try {
            return lookup.index();
        } catch (IllegalArgumentException absent) {
            throw unknown(name);
        }
    }

    private static Failure unknown(String name) {
        return Failure.parity("the model has no tensor '" + name
            + "' in its signature; export it again");
    }
}
