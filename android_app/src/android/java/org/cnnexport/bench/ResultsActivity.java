package org.cnnexport.bench;

import android.app.Activity;
import org.cnnexport.bench.ui.LastResults;
import org.cnnexport.bench.ui.Screen;

/** What a person who opens the app sees: the last results. It takes no options. */
public final class ResultsActivity extends Activity {
    @Override
    protected void onResume() {
        super.onResume();
        new Screen(this).show(LastResults.read(this));
    }
}
