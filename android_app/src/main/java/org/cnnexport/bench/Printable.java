package org.cnnexport.bench;

/** Text from outside, made fit for one line on a terminal. */
final class Printable {
    private static final int LENGTH = 100;

    private Printable() {
    }

    /** Returns at most 100 characters; every control character becomes a question mark. */
    static String shortened(String text) {
        String kept = text.length() <= LENGTH ? text : text.substring(0, LENGTH) + "…";
        return clean(kept);
    }

    /** Returns the text with a question mark for every control or format character. */
    static String clean(String text) {
        return text.replaceAll("[\\p{Cc}\\p{Cf}\\p{Cs}\\u2028\\u2029]", "?");
    }
}
