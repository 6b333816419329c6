package org.cnnexport.bench.errors;

import java.util.Collection;

/** Offers the known name nearest to a misspelt one. */
public final class DidYouMean {
    private DidYouMean() {
    }

    /** Returns {@code " Did you mean 'a'?"}, or nothing where no name is near. */
    public static String hint(String name, Collection<String> known) {
        String near = nearest(name, known);
        return near == null ? "" : " Did you mean '" + near + "'?";
    }

    /** Returns the nearest name, null where more than half would have to be changed. */
    public static String nearest(String name, Collection<String> known) {
        String best = null;
        int least = Integer.MAX_VALUE;
        for (String candidate : known) {
            int edits = distance(name, candidate);
            if (edits < least) {
                least = edits;
                best = candidate;
            }
        }
        boolean near = best != null && 2 * least <= Math.max(name.length(), best.length());
        return near ? best : null;
    }

    /** Levenshtein's distance: insertions, deletions and replacements from one to the other. */
    static int distance(String from, String to) {
        int[] row = new int[to.length() + 1];
        for (int j = 0; j < row.length; j++) {
            row[j] = j;
        }
        for (int i = 1; i <= from.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j < row.length; j++) {
                int replaced = diagonal + (from.charAt(i - 1) == to.charAt(j - 1) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.min(replaced, 1 + Math.min(row[j], row[j - 1]));
            }
        }
        return row[to.length()];
    }
}
