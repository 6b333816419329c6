package org.cnnexport.bench.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.cnnexport.bench.errors.Failure;
import org.junit.jupiter.api.Test;

final class RuntimesTest {
    @Test
    void runtimeArgumentsAreTheRuntimes() throws Failure {
        Runtimes.requireKnown(Map.of("xnnpack", "off", "arena", "on"),
            List.of("ai-edge-litert", "onnxruntime"));
        assertTrue(assertThrows(Failure.class, () -> Runtimes.requireKnown(
            Map.of("xnpack", "off"), List.of("ai-edge-litert"))).getMessage()
            .endsWith("Did you mean 'xnnpack'?"));
        assertThrows(Failure.class, () -> Runtimes.requireKnown(
            Map.of("xnnpack", "maybe"), List.of("ai-edge-litert")));
        assertThrows(Failure.class, () -> Runtimes.requireKnown(
            Map.of("xnnpack", "off"), List.of("executorch")));
        assertEquals(Map.of("arena", "on"), Runtimes.argumentsOf(
            "onnxruntime", Map.of("arena", "on", "xnnpack", "off")));
    }
}
