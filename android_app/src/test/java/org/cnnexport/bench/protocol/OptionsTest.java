package org.cnnexport.bench.protocol;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.cnnexport.bench.errors.Failure;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class OptionsTest {
    private static final String TIME =
        "protocol=3 kind=time artifact=/a probe=/p threads=2 min_time_s=0.5";

    private static Options parse(String text) throws Failure {
        return Options.parse(Arrays.asList(text.split(" ")));
    }

    @Test
    void aTimeIsRead() throws Failure {
        Options options = parse(TIME + " runtime_arg.xnnpack=off out=/o");
        assertEquals(Options.Kind.TIME, options.kind());
        assertEquals(new Options.Source(new File("/a"), new File("/p")), options.sources().get(0));
        assertEquals(2, options.threads());
        assertEquals(0.5, options.minTimeSeconds());
        assertEquals(Map.of("xnnpack", "off"), options.runtimeArguments());
        assertEquals(new File("/o"), options.out());
        assertFalse(options.bFirst());
        assertEquals(1, options.block());
    }

    @Test
    void aPairIsRead() throws Failure {
        Options options = parse("protocol=3 kind=pair artifact=/a=b probe=/p artifact.b=/c"
            + " probe.b=/q threads=1 min_time_s=1e-05 b_first=true block=7");
        assertEquals(List.of(
            new Options.Source(new File("/a=b"), new File("/p")),
            new Options.Source(new File("/c"), new File("/q"))), options.sources());
        assertTrue(options.bFirst());
        assertEquals(7, options.block());
        assertNull(options.out());
    }

    @Test
    void theMemoryPassNeedsNoTime() throws Failure {
        assertEquals(Options.Kind.MEMORY,
            parse("protocol=3 kind=memory artifact=/a probe=/p threads=1").kind());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "protocol=3|version=3|the first pair must be protocol=3",
        "protocol=3|protocol=2|speaks protocol 2, this app 3",
        "protocol=3|protocol=03|speaks protocol 03",
        "kind=time|kind=tme|Did you mean 'time'?",
        "kind=time|kind=pair|artifact.b is missing",
        "kind=time|kind=time kind=time|kind is given twice",
        "artifact=/a|artifact=a|artifact is an absolute path, not 'a'",
        "artifact=/a|artefact=/a|there is no key 'artefact'. Did you mean 'artifact'?",
        "artifact=/a|/a|'/a' is not of the form key=value",
        "artifact=/a|=/a|'=/a' is not of the form key=value",
        "threads=2|threads=0|threads is a whole number from 1 to 256, not '0'",
        "threads=2|threads=2.0|threads is a whole number",
        "threads=2|threads=99999999999|threads is a whole number",
        "threads=2|threads=٢|threads is a whole number",
        "threads=2|threads=|threads is a whole number",
        "threads=2|thraeds=2|there is no key 'thraeds'. Did you mean 'threads'?",
        "min_time_s=0.5|min_time_s=-1|min_time_s is from 0 to 3600",
        "min_time_s=0.5|min_time_s=3601|min_time_s is from 0 to 3600",
        "min_time_s=0.5|min_time_s=.5|min_time_s is a decimal number",
        "min_time_s=0.5|min_time_s=Infinity|min_time_s is a decimal number",
        "min_time_s=0.5|min_time_s=0.5 block=2|there is no key 'block'",
        "min_time_s=0.5|min_time_s=0.5 out=x|out is an absolute path",
    })
    void everyMistakeIsNamed(String pair, String wrong, String said) {
        Failure failure = assertThrows(Failure.class, () -> parse(TIME.replace(pair, wrong)));
        assertEquals(Failure.USAGE, failure.exitCode());
        assertTrue(failure.getMessage().contains(said), failure.getMessage());
    }

    @Test
    void aTruthValueIsNotGuessed() {
        String pair = "protocol=3 kind=pair artifact=/a probe=/p artifact.b=/c probe.b=/q"
            + " threads=1 min_time_s=1 b_first=";
        for (String value : new String[] {"True", "yes", "1", ""}) {
            assertThrows(Failure.class, () -> parse(pair + value));
        }
    }

    @Test
    void theOutIsKnownBeforeTheRestIsRead() {
        assertEquals(new File("/o"), Options.outOf(List.of("nonsense", "out=/o")));
        assertNull(Options.outOf(List.of("out=/o", "out=/p")));
        assertNull(Options.outOf(List.of("out=o")));
    }
}
