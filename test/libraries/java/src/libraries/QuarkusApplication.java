package libraries;

import com.mongodb.ConnectionString;
import com.mongodb.MongoClientSettings;
import com.mongodb.MongoCredential;
import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoClients;
import io.quarkus.kubernetes.service.binding.runtime.ServiceBinding;
import io.quarkus.kubernetes.service.binding.runtime.ServiceBindingConfigSource;
import io.quarkus.kubernetes.service.binding.runtime.ServiceBindingConverter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.stream.Stream;

/**
 * What Quarkus makes of a binding, by its own extensions; the clients are opened with that here, where Quarkus would do it
 * with a build of its own.
 */
final class QuarkusApplication {
  private QuarkusApplication() {}

  static String run(Row row) throws Exception {
    Map<String, String> properties = propertiesOfBindings();
    switch (row.kind()) {
      case "postgresql", "mysql" -> {
        try (Connection connection =
            DriverManager.getConnection(
                needed(properties, "quarkus.datasource.jdbc.url"),
                needed(properties, "quarkus.datasource.username"),
                needed(properties, "quarkus.datasource.password"))) {
          return Databases.sql(connection, row);
        }
      }
      case "mongodb" -> {
        ConnectionString address = new ConnectionString(needed(properties, "quarkus.mongodb.connection-string"));
        // Without quarkus.mongodb.credentials.auth-source and quarkus.mongodb.database it is admin.
        MongoCredential login =
            MongoCredential.createCredential(
                needed(properties, "quarkus.mongodb.credentials.username"),
                "admin",
                needed(properties, "quarkus.mongodb.credentials.password").toCharArray());
        MongoClientSettings settings =
            MongoClientSettings.builder().applyConnectionString(address).credential(login).build();
        try (MongoClient client = MongoClients.create(settings)) {
          return Databases.mongodb(client.getDatabase(address.getDatabase()), row);
        }
      }
      case "kafka" -> {
        Map<String, Object> wish = new HashMap<>();
        properties.forEach((key, value) -> wish.put(key.replaceFirst("^kafka\\.", ""), value));
        return Databases.kafka(wish, wish, row);
      }
      default -> throw new IllegalArgumentException(row.kind());
    }
  }

  private static String needed(Map<String, String> properties, String name) {
    return Optional.ofNullable(properties.get(name))
        .orElseThrow(() -> new IllegalStateException("no binding gives " + name));
  }

  private static Map<String, String> propertiesOfBindings() throws Exception {
    List<ServiceBinding> bindings;
    try (Stream<Path> folders = Files.list(Path.of(System.getenv("SERVICE_BINDING_ROOT")))) {
      bindings = folders.map(ServiceBinding::new).toList();
    }
    Map<String, String> properties = new HashMap<>();
    for (ServiceBindingConverter converter : ServiceLoader.load(ServiceBindingConverter.class)) {
      Optional<ServiceBindingConfigSource> source = converter.convert(bindings);
      source.ifPresent(found -> properties.putAll(found.getProperties()));
    }
    return properties;
  }
}
