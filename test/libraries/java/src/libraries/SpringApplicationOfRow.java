package libraries;

import java.util.List;
import java.util.Map;
import javax.sql.DataSource;
import org.elasticsearch.client.RestClient;
import org.springframework.amqp.rabbit.core.RabbitTemplate;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.ImportAutoConfiguration;
import org.springframework.boot.autoconfigure.amqp.RabbitAutoConfiguration;
import org.springframework.boot.autoconfigure.context.PropertyPlaceholderAutoConfiguration;
import org.springframework.boot.autoconfigure.data.mongo.MongoDataAutoConfiguration;
import org.springframework.boot.autoconfigure.data.redis.RedisAutoConfiguration;
import org.springframework.boot.autoconfigure.elasticsearch.ElasticsearchRestClientAutoConfiguration;
import org.springframework.boot.autoconfigure.jdbc.DataSourceAutoConfiguration;
import org.springframework.boot.autoconfigure.kafka.KafkaAutoConfiguration;
import org.springframework.boot.autoconfigure.kafka.KafkaProperties;
import org.springframework.boot.autoconfigure.mongo.MongoAutoConfiguration;
import org.springframework.boot.autoconfigure.ssl.SslAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Configuration;
import org.springframework.data.mongodb.core.MongoTemplate;
import org.springframework.data.redis.core.StringRedisTemplate;

/** An application as Spring Boot makes it of the starter of one kind: nothing is configured but by its lines. */
final class SpringApplicationOfRow {
  private SpringApplicationOfRow() {}

  @Configuration(proxyBeanMethods = false)
  @ImportAutoConfiguration(DataSourceAutoConfiguration.class)
  static class Sql {}

  @Configuration(proxyBeanMethods = false)
  @ImportAutoConfiguration({MongoAutoConfiguration.class, MongoDataAutoConfiguration.class, SslAutoConfiguration.class})
  static class Mongodb {}

  @Configuration(proxyBeanMethods = false)
  @ImportAutoConfiguration({RedisAutoConfiguration.class, SslAutoConfiguration.class})
  static class Redis {}

  @Configuration(proxyBeanMethods = false)
  @ImportAutoConfiguration({RabbitAutoConfiguration.class, SslAutoConfiguration.class})
  static class Rabbitmq {}

  @Configuration(proxyBeanMethods = false)
  @ImportAutoConfiguration({KafkaAutoConfiguration.class, SslAutoConfiguration.class})
  static class Kafka {}

  @Configuration(proxyBeanMethods = false)
  @ImportAutoConfiguration({ElasticsearchRestClientAutoConfiguration.class, SslAutoConfiguration.class})
  static class Elasticsearch {}

  private static final Map<String, Class<?>> APPLICATIONS =
      Map.of(
          "postgresql", Sql.class,
          "mysql", Sql.class,
          "mongodb", Mongodb.class,
          "redis", Redis.class,
          "rabbitmq", Rabbitmq.class,
          "kafka", Kafka.class,
          "elasticsearch", Elasticsearch.class);

  /**
   * @param lines of its application.properties
   */
  static String run(Row row, List<String> lines) throws Exception {
    SpringApplicationBuilder builder =
        new SpringApplicationBuilder(APPLICATIONS.get(row.kind()), PropertyPlaceholderAutoConfiguration.class)
            .web(WebApplicationType.NONE)
            .lazyInitialization(true)
            .logStartupInfo(false)
            .properties(
                "spring.main.banner-mode=off",
                "logging.level.root=OFF",
                "spring.jmx.enabled=false",
                "spring.datasource.hikari.maximum-pool-size=1")
            .properties(lines.toArray(String[]::new));
    try (ConfigurableApplicationContext context = builder.run()) {
      return switch (row.kind()) {
        case "postgresql", "mysql" -> Databases.sql(context.getBean(DataSource.class), row);
        case "mongodb" -> Databases.mongodb(context.getBean(MongoTemplate.class).getDb(), row);
        case "redis" -> Databases.redis(context.getBean(StringRedisTemplate.class), row);
        case "rabbitmq" -> Databases.rabbitmq(context.getBean(RabbitTemplate.class), row);
        case "kafka" -> Databases.kafka(context.getBean(KafkaProperties.class), row);
        case "elasticsearch" -> Databases.elasticsearch(context.getBean(RestClient.class), row);
        default -> throw new IllegalArgumentException(row.kind());
      };
    }
  }
}
