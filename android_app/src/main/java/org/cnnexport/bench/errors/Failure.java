package org.cnnexport.bench.errors;

/**
 * An expected end of a run: the line for the user, and one of the exit codes of
 * {@code export/errors.py}.
 */
public final class Failure extends Exception {
    public static final int INTERNAL = 1;
    public static final int USAGE = 2;
    public static final int PARITY = 3;
    public static final int REFUSED = 4;
    public static final int UNAVAILABLE = 5;
    public static final int UNFIT = 12;

    private static final long serialVersionUID = 1L;

    private final int exitCode;

    public Failure(int exitCode, String message) {
        super(message);
        this.exitCode = exitCode;
    }

    public int exitCode() {
        return exitCode;
    }

    /** An option, name or combination that does not exist. */
    public static Failure usage(String message) {
        return new Failure(USAGE, message);
    }

    /** The artifact is not the proven one, or does not compute what was proven. */
    public static Failure parity(String message) {
        return new Failure(PARITY, message);
    }

    /** A file or model that cannot be accepted. */
    public static Failure refused(String message) {
        return new Failure(REFUSED, message);
    }

    /** A runtime that this build does not hold. */
    public static Failure unavailable(String message) {
        return new Failure(UNAVAILABLE, message);
    }

    /** A device that cannot be measured. */
    public static Failure unfit(String message) {
        return new Failure(UNFIT, message);
    }

    /** The failure that anything thrown stands for; what nobody foresaw is internal. */
    public static Failure of(Throwable thrown) {
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

    /** The message of a thrown object, on one line. */
    public static String reason(Throwable thrown) {
        String text = thrown.getMessage();
        return text == null || text.trim().isEmpty() ? thrown.getClass().getSimpleName()
            : Printable.oneLine(text);
    }
}
