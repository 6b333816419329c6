package org.cnnexport.bench.errors;

/** Text from outside, made fit for one line on a terminal. */
public final class Printable {
    private static final int LENGTH_MAX = 100;

    private Printable() {
    }

    /** Returns at most 100 characters; every control character becomes a question mark. */
    public static String shortened(String text) {
        String kept = text.length() <= LENGTH_MAX ? text : text.substring(0, LENGTH_MAX) + "…";
        return clean(kept);
    }

    /** Returns the text with a question mark for every control or format character. */
    public static String clean(String text) {
        return text.replaceAll("[\\p{Cc}\\p{Cf}\\p{Cs}\\u2028\\u2029]", "?");
    }

    /** Returns the text with one space for every run of white space. */
    public static String oneLine(String text) {
        return text.trim().replaceAll("\\s+", " ");
    }
}
