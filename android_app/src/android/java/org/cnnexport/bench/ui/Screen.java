package org.cnnexport.bench.ui;

import android.app.Activity;
import android.widget.ScrollView;
import android.widget.TextView;

/** One scrolling text over the whole screen; may be written to from any thread. */
public final class Screen {
    private static final int PADDING_DP = 16;
    private static final float TEXT_SP = 16;
    private static final int LENGTH_MAX = 20_000;

    private final Activity activity;
    private final TextView view;
    private final StringBuilder text = new StringBuilder();

    public Screen(Activity activity) {
        this.activity = activity;
        view = new TextView(activity);
        view.setTextSize(TEXT_SP);
        int padding = Math.round(PADDING_DP * activity.getResources().getDisplayMetrics().density);
        view.setPadding(padding, padding, padding, padding);
        ScrollView scroll = new ScrollView(activity);
        scroll.addView(view);
        activity.setContentView(scroll);
    }

    /** Replaces what is shown. */
    public void show(String shown) {
        synchronized (text) {
            text.setLength(0);
        }
        add(shown);
    }

    /** Adds lines at the end; the oldest go where it grows too long. */
    void add(String lines) {
        String all;
        synchronized (text) {
            text.append(lines).append('\n');
            text.delete(0, Math.max(0, text.length() - LENGTH_MAX));
            all = text.toString();
        }
        activity.runOnUiThread(() -> view.setText(all));
    }

    String text() {
        synchronized (text) {
            return text.toString();
        }
    }
}
