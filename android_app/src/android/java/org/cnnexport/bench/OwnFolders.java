package org.cnnexport.bench;

import android.content.Context;
import java.io.File;
import java.util.ArrayList;
import java.util.List;

/** The folders an Activity's run keeps to: the app's own, and to read what the shell pushed. */
final class OwnFolders {
    private static final File PUSHED = new File("/data/local/tmp");

    private OwnFolders() {
    }

    static Folders of(Context context) {
        List<File> own = new ArrayList<>();
        own.add(context.getFilesDir());
        // The same folder's name of old, by which run-as knows it; systems link them either way.
        own.add(new File("/data/data/" + context.getPackageName() + "/files"));
        own.add(context.getCacheDir());
        File external = context.getExternalFilesDir(null);
        if (external != null) {
            own.add(external);
        }
        return Folders.within(List.of(PUSHED), own);
    }
}
