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

    /**
     * Makes the app's folders too, where they are not there yet.
     *
     * <p>Of these the shell reads those for media only: no private folder of an app that is not
     * debuggable, and an app's external files not on each phone from Android 11 on.
     */
    @SuppressWarnings("deprecation") // the shell reads no other folder of an app on all versions
    static Folders of(Context context) {
        List<File> own = new ArrayList<>(List.of(context.getFilesDir(), context.getCacheDir()));
        for (File media : context.getExternalMediaDirs()) {
            if (media != null) {
                own.add(media);
            }
        }
        return Folders.within(List.of(PUSHED), own);
    }
}
