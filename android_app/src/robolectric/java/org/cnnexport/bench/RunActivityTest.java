package org.cnnexport.bench;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotEquals;
import static org.junit.Assert.assertTrue;
import static org.robolectric.Shadows.shadowOf;

import android.app.Activity;
import android.content.ComponentName;
import android.content.Context;
import android.content.Intent;
import android.content.pm.ActivityInfo;
import android.content.pm.ApplicationInfo;
import android.os.Bundle;
import android.os.Looper;
import android.os.PowerManager;
import android.os.Process;
import android.view.ViewGroup;
import android.view.WindowManager;
import android.widget.TextView;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.cnnexport.bench.protocol.Messages;
import org.cnnexport.bench.protocol.SessionVerdict;
import org.cnnexport.bench.ui.LastResults;
import org.junit.After;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;
import org.robolectric.annotation.GraphicsMode;
import org.robolectric.annotation.SQLiteMode;
import org.robolectric.shadows.ShadowEnvironment;
import org.robolectric.shadows.ShadowProcess;

/**
 * The real Activities with real inference, on Robolectric's system; no phone, emulator or ART.
 *
 * <p>{@code cnn.models} names the folder of exported artifacts.
 */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = 34)
@GraphicsMode(GraphicsMode.Mode.LEGACY)
@SQLiteMode(SQLiteMode.Mode.LEGACY)
public final class RunActivityTest {
    private static final int DEADLINE_MS = 60_000;
    private static final int STEP_MS = 20;

    private final Context context = RuntimeEnvironment.getApplication();
    private File out;
    private boolean begun;

    @Before
    @SuppressWarnings("deprecation") // as OwnFolders
    public void pushModels() throws IOException {
        ShadowEnvironment.addExternalDir("storage");
        // Robolectric gives each test a phone of its own, but not this folder of it.
        File storage = context.getExternalMediaDirs()[0];
        for (File left : storage.listFiles()) {
            assertTrue(left.delete());
        }
        out = new File(storage, "report.jsonl");
        Path models = Path.of(System.getProperty("cnn.models"));
        for (String name : List.of("net.onnx", "net.onnx.probe", "net.tflite", "net.tflite.probe")) {
            Files.copy(models.resolve(name), context.getFilesDir().toPath().resolve(name));
        }
    }

    /** Nothing of a test's run may reach into the next test. */
    @After
    public void processEnds() throws Exception {
        if (begun) {
            await(RunActivityTest::isProcessEnded);
        }
    }

    private static boolean isProcessEnded() {
        return ShadowProcess.wasKilled(Process.myPid());
    }

    private Intent intent(String net, String seconds, String... more) {
        File model = new File(context.getFilesDir(), net);
        String options = String.join("\n", "protocol=3", "kind=time", "artifact=" + model,
            "probe=" + model + ".probe", "threads=1", "min_time_s=" + seconds);
        String all = more.length == 0 ? options : options + "\n" + String.join("\n", more);
        return new Intent(context, RunActivity.class).putExtra(RunActivity.OPTIONS, all);
    }

    private ActivityController<RunActivity> start(Intent intent) {
        begun = true;
        ActivityController<RunActivity> made = Robolectric.buildActivity(RunActivity.class, intent);
        focus(made.setup(), true);
        return made;
    }

    private static void focus(ActivityController<RunActivity> controller, boolean has) {
        controller.get().onWindowFocusChanged(has);
    }

    private interface Condition {
        boolean holds() throws IOException;
    }

    private static void await(Condition condition) throws Exception {
        for (int waited = 0; !condition.holds(); waited += STEP_MS) {
            assertTrue("nothing happened in time", waited < DEADLINE_MS);
            Thread.sleep(STEP_MS);
            passTime(STEP_MS);
        }
    }

    private static void passTime(long milliseconds) {
        shadowOf(Looper.getMainLooper()).idleFor(Duration.ofMillis(milliseconds));
    }

    private String report() throws Exception {
        await(out::exists);
        return Files.readString(out.toPath());
    }

    private static String shown(Activity activity) {
        ViewGroup content = activity.findViewById(android.R.id.content);
        ViewGroup scroll = (ViewGroup) content.getChildAt(0);
        return ((TextView) scroll.getChildAt(0)).getText().toString();
    }

    private static void requireFailure(String report, long code, String said) {
        List<Map<String, Object>> messages = Messages.of(report);
        assertEquals(report, 1, messages.size());
        assertEquals(code, messages.get(0).get("exit_code"));
        assertTrue(report, ((String) messages.get(0).get("message")).contains(said));
    }

    @Test
    public void aRunIsReportedAndShown() throws Exception {
        shadowOf(context.getSystemService(PowerManager.class)).setCurrentThermalStatus(3);
        for (String net : List.of("net.onnx", "net.tflite")) {
            out.delete();
            Activity activity = start(intent(net, "0.02", "out=" + out)).get();
            String report = report();
            assertEquals(report, "complete", SessionVerdict.of("time", report));
            Map<String, Object> state = Messages.of(report).get(1);
            assertEquals("activity", state.get("launch"));
            assertEquals(3L, state.get("thermal_status"));
            await(() -> shown(activity).contains("Done."));
            assertTrue(shown(activity), shown(activity).contains("median"));
            assertTrue(shown(activity), shown(activity).contains(Messages.of(report).size() - 4
                + " inferences"));
            int flags = activity.getWindow().getAttributes().flags;
            assertNotEquals(0, flags & WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        }
    }

    @Test
    public void theLastResultsAreShownToWhoeverOpensTheApp() throws Exception {
        assertTrue(shown(Robolectric.buildActivity(ResultsActivity.class).setup().get())
            .contains("No run yet"));
        start(intent("net.onnx", "0.02", "out=" + out));
        await(() -> LastResults.read(context).contains("Done."));
        Intent options = intent("net.onnx", "0.02", "out=" + out + "2").setClass(
            context, ResultsActivity.class);
        Activity results = Robolectric.buildActivity(ResultsActivity.class, options).setup().get();
        assertTrue(shown(results), shown(results).contains("median"));
        Thread.sleep(200);
        assertFalse("it takes no options", new File(out + "2.partial").exists());
    }

    @Test
    public void mistakesAreToldInTheReportAndOnTheScreen() throws Exception {
        Activity activity = start(intent("net.onnx", "0.02", "thread=2", "out=" + out)).get();
        requireFailure(report(), 2, "there is no key 'thread'. Did you mean 'threads'?");
        await(() -> shown(activity).contains("Failed with exit code 2."));
        assertTrue(shown(activity).contains("Did you mean 'threads'?"));
    }

    @Test
    public void nothingIsWrittenOutsideTheAppsFolders() throws Exception {
        File outside = File.createTempFile("outside", ".jsonl");
        File link = new File(context.getFilesDir(), "link");
        Files.createSymbolicLink(link.toPath(), outside.getParentFile().toPath());
        for (File target : List.of(outside, new File(link, outside.getName()))) {
            Activity activity = start(intent("net.onnx", "0.02", "out=" + target)).get();
            await(() -> shown(activity).contains("Failed with exit code 4."));
            assertTrue(shown(activity), shown(activity).contains("may not write"));
            assertFalse(new File(target + ".partial").exists());
            assertEquals(0, outside.length());
        }
        assertTrue(outside.delete());
    }

    @Test
    public void nothingIsReadOutsideTheAppsFolders() throws Exception {
        Intent intent = intent("net.onnx", "0.02", "out=" + out);
        String options = intent.getStringExtra(RunActivity.OPTIONS);
        start(intent.putExtra(RunActivity.OPTIONS,
            options.replaceFirst("artifact=.*", "artifact=/etc/passwd")));
        requireFailure(report(), 4, "may not read /etc/passwd");
    }

    @Test
    public void aRunThatLeavesTheForegroundDoesNotCount() throws Exception {
        ActivityController<RunActivity> controller = start(intent("net.onnx", "0.5", "out=" + out));
        await(() -> shown(controller.get()).contains("measuring"));
        controller.pause();
        requireFailure(lastLine(report()), 12, "left the foreground");
    }

    @Test
    public void norDoesOneThatCameBack() throws Exception {
        ActivityController<RunActivity> controller = start(intent("net.onnx", "0.5", "out=" + out));
        await(() -> shown(controller.get()).contains("measuring"));
        controller.pause();
        focus(controller, false);
        controller.newIntent(intent("net.onnx", "0.02", "out=" + out)).resume();
        focus(controller, true);
        requireFailure(lastLine(report()), 12, "left the foreground");
    }

    @Test
    public void aRunBeginsWhenNothingIsInFront() throws Exception {
        begun = true;
        ActivityController<RunActivity> controller = Robolectric.buildActivity(RunActivity.class,
            intent("net.onnx", "0.02", "out=" + out)).setup();
        focus(controller, false);
        passTime(10 * RunActivity.SETTLE_MS);
        requireWaiting(controller.get());
        focus(controller, true);
        passTime(RunActivity.SETTLE_MS - 1);
        controller.pause();
        passTime(10 * RunActivity.SETTLE_MS);
        requireWaiting(controller.get());
        controller.resume();
        String report = report();
        assertEquals(report, "complete", SessionVerdict.of("time", report));
    }

    private void requireWaiting(Activity activity) throws Exception {
        Thread.sleep(200);
        assertTrue(shown(activity), shown(activity).startsWith("Waiting"));
        assertFalse(new File(out + ".partial").exists());
        assertFalse(out.exists());
    }

    @Test
    public void aRunThatIsClosedBeforeItBeginsIsReported() throws Exception {
        Robolectric.buildActivity(RunActivity.class, intent("net.onnx", "0.02", "out=" + out))
            .create().start().resume().pause().stop().destroy();
        requireFailure(report(), 12, "closed before its run began");
        assertTrue(isProcessEnded());
    }

    @Test
    public void anActivityThatIsMadeAgainMeasuresNothing() throws Exception {
        Intent restored = intent("net.onnx", "0.02", "out=" + out);
        Intent fromRecents = new Intent(restored).addFlags(
            Intent.FLAG_ACTIVITY_LAUNCHED_FROM_HISTORY);
        for (ActivityController<RunActivity> made : List.of(
            Robolectric.buildActivity(RunActivity.class, restored).setup(new Bundle()),
            Robolectric.buildActivity(RunActivity.class, fromRecents).setup())) {
            Activity activity = made.get();
            focus(made, true);
            passTime(10 * RunActivity.SETTLE_MS);
            assertTrue(shown(activity), shown(activity).contains("No run yet"));
            Thread.sleep(200);
            assertFalse(new File(out + ".partial").exists());
            assertFalse(out.exists());
        }
    }

    @Test
    public void aFullDiskEndsTheProcess() throws Exception {
        Files.createSymbolicLink(Path.of(out + ".partial"), Path.of("/dev/full"));
        Activity activity = start(intent("net.onnx", "0.02", "out=" + out)).get();
        await(RunActivityTest::isProcessEnded);
        assertTrue(activity.isFinishing());
        assertTrue(shown(activity), shown(activity).contains("No space left on device"));
        assertFalse(out.exists());
    }

    private static String lastLine(String report) {
        return report.substring(report.lastIndexOf('\n', report.length() - 2) + 1);
    }

    @Test
    public void aSecondRunWaitsForTheFirst() throws Exception {
        ActivityController<RunActivity> controller = start(intent("net.onnx", "1", "out=" + out));
        await(() -> shown(controller.get()).contains("measuring"));
        File second = new File(out + "2");
        deliver(controller, intent("net.onnx", "0.02", "out=" + second));
        requireFailure(Files.readString(second.toPath()), 12, "another run is in progress");
        deliver(controller, intent("net.onnx", "0.02", "out=" + out));
        String report = report();
        assertEquals(report, "complete", SessionVerdict.of("time", report));
    }

    /** As Android does it to an Activity in front: between a pause and a resume. */
    private static void deliver(ActivityController<RunActivity> controller, Intent intent) {
        controller.pause().newIntent(intent).resume();
    }

    @Test
    public void oneRunPerProcess() throws Exception {
        ActivityController<RunActivity> first = start(intent("net.onnx", "1", "out=" + out));
        await(() -> shown(first.get()).contains("measuring"));
        File second = new File(out + "2");
        start(intent("net.onnx", "0.02", "out=" + second));
        requireFailure(Files.readString(second.toPath()), 12, "another run is in progress");
        assertEquals("complete", SessionVerdict.of("time", report()));
    }

    @Test
    public void theManifestKeepsForeignAppsOut() throws Exception {
        ActivityInfo info = context.getPackageManager().getActivityInfo(
            new ComponentName(context, RunActivity.class), 0);
        assertTrue(info.exported);
        assertEquals("android.permission.DUMP", info.permission);
        assertNotEquals(0, info.flags & ActivityInfo.FLAG_EXCLUDE_FROM_RECENTS);
    }

    /** Android checks each call into native code of a debuggable app, within what is timed. */
    @Test
    public void theAppIsNotDebuggable() {
        assertEquals(0, context.getApplicationInfo().flags & ApplicationInfo.FLAG_DEBUGGABLE);
    }
}
