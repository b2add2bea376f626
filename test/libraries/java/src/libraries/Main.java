package libraries;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.lang.reflect.Field;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Applications, one after the other in one process: each has the environment variables of its row and nothing else, and
 * does with its database what the row says.
 *
 * <p>Takes the name of a file: a list of rows. Prints a line `row {"answer": …}` or `row {"error": …}` for each.
 */
public final class Main {
  private static final ObjectMapper JSON = new ObjectMapper();

  public static void main(String[] arguments) throws Exception {
    for (JsonNode row : JSON.readTree(new File(arguments[0]))) {
      Map<String, String> environment = new HashMap<>();
      row.get("environment").fields().forEachRemaining(one -> environment.put(one.getKey(), one.getValue().asText()));
      List<String> lines = row.get("lines").asText().lines().filter(line -> !line.isBlank()).toList();
      setEnvironment(environment);
      ObjectNode result = JSON.createObjectNode();
      try {
        Row asked = new Row(row.get("kind").asText(), row.get("does").asText(), row.get("note").asText());
        String answer =
            row.get("library").asText().equals("quarkus")
                ? QuarkusApplication.run(asked)
                : SpringApplicationOfRow.run(asked, lines);
        result.put("answer", answer);
      } catch (Throwable error) {
        result.put("error", everything(error));
      }
      System.out.println("row " + JSON.writeValueAsString(result));
    }
    // Clients leave threads behind.
    System.exit(0);
  }

  private static String everything(Throwable error) {
    StringBuilder text = new StringBuilder();
    for (Throwable one = error; one != null && text.length() < 4000; one = one.getCause())
      text.append(one.getClass().getSimpleName()).append(": ").append(one.getMessage()).append('\n');
    return text.toString();
  }

  /** A process cannot change its own environment, as Java has it: this is how tests in Java do it nevertheless. */
  private static void setEnvironment(Map<String, String> environment) throws ReflectiveOperationException {
    Field field = System.getenv().getClass().getDeclaredField("m");
    field.setAccessible(true);
    @SuppressWarnings("unchecked")
    Map<String, String> variables = (Map<String, String>) field.get(System.getenv());
    variables.clear();
    variables.putAll(environment);
  }
}
