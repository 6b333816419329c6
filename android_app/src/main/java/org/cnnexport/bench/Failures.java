package org.cnnexport.bench;

/** Every way to end, with the exit codes of {@code export/errors.py}. */
final class Failures {
    static final int INTERNAL = 1;
    static final int USAGE = 2;
    static final int PARITY = 3;
    static final int REFUSED = 4;
    static final int UNAVAILABLE = 5;
    static final int UNFIT = 12;

    private Failures() {
    }

    /** An option, name or combination that does not exist. */
    static Failure usage(String message) {
        return new Failure(USAGE, message);
    }

    /** The artifact is not the proven one, or does not compute what was proven. */
    static Failure parity(String message) {
        return new Failure(PARITY, message);
    }

    /** A file or model that cannot be accepted. */
    static Failure refused(String message) {
        return new Failure(REFUSED, message);
    }

    /** A runtime that this build does not hold. */
    static Failure unavailable(String message) {
        return new Failure(UNAVAILABLE, message);
    }

    /** A device that cannot be measured. */
    static Failure unfit(String message) {
        return new Failure(UNFIT, message);
    }

    /** The failure that anything thrown stands for; what nobody foresaw is internal. */
    static Failure of(Throwable thrown) {
        if (thrown instanceof Failure failure) {
            return failure;
        }
        if (thrown instanceof OutOfMemoryError) {
            return refused("the model and its inputs do not fit into this process's memory");
        }
        if (thrown instanceof LinkageError) {
            return unavailable("a part of this app is missing: " + reason(thrown));
        }
        String kind = thrown.getClass().getSimpleName();
        return new Failure(INTERNAL, "internal error: " + kind + ": " + reason(thrown));
    }

    /** What a thrown object says, on one line. */
    static String reason(Throwable thrown) {
        String text = thrown.getMessage();
        return text == null || text.trim().isEmpty() ? thrown.getClass().getSimpleName()
            : oneLine(text);
    }

    static String oneLine(String text) {
        return text.trim().replaceAll("\\s+", " ");
    }
}
