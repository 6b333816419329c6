import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.jar.JarFile;
import org.codehaus.mojo.animal_sniffer.SignatureChecker;
import org.codehaus.mojo.animal_sniffer.logging.PrintWriterLogger;

/** Checks that classes call nothing that an API level lacks: signature file, then jars. */
final class ApiCheck {
    private ApiCheck() {
    }

    public static void main(String[] arguments) throws IOException {
        List<String> jars = List.of(arguments).subList(1, arguments.length);
        Set<String> own = new HashSet<>();
        for (String jar : jars) {
            own.addAll(classesOf(jar));
        }
        try (InputStream signature = new FileInputStream(arguments[0])) {
            SignatureChecker checker =
                new SignatureChecker(signature, own, new PrintWriterLogger(System.out));
            checker.setSourcePath(List.of());
            for (String jar : jars) {
                checker.process(new File(jar));
            }
            System.exit(checker.isSignatureBroken() ? 1 : 0);
        }
    }

    /** What the jars hold is not the system's to offer. */
    private static Set<String> classesOf(String jar) throws IOException {
        Set<String> names = new HashSet<>();
        try (JarFile file = new JarFile(jar)) {
            Collections.list(file.entries()).forEach(entry -> {
                if (entry.getName().endsWith(".class")) {
                    names.add(entry.getName().replaceAll("\\.class$", "").replace('/', '.'));
                }
            });
        }
        return names;
    }
}
