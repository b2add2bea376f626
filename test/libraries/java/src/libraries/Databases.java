package libraries;

import com.mongodb.client.MongoDatabase;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.bson.Document;
import org.elasticsearch.client.Request;
import org.elasticsearch.client.RestClient;
import org.springframework.amqp.rabbit.core.RabbitTemplate;
import org.springframework.boot.autoconfigure.kafka.KafkaProperties;
import org.springframework.data.redis.core.StringRedisTemplate;

/** Writes a note, where the row says so, and reads it. */
final class Databases {
  private Databases() {}

  private static final String TEXT = "from Java";

  static String sql(DataSource source, Row row) throws Exception {
    try (Connection connection = source.getConnection()) {
      return sql(connection, row);
    }
  }

  static String sql(Connection connection, Row row) throws Exception {
    try (Statement statement = connection.createStatement()) {
      if (row.writes())
        statement.executeUpdate("INSERT INTO " + row.note() + " VALUES ('" + TEXT + "')");
      try (ResultSet found = statement.executeQuery("SELECT line FROM " + row.note())) {
        found.next();
        return found.getString(1);
      }
    }
  }

  static String mongodb(MongoDatabase database, Row row) {
    if (row.writes())
      database.getCollection(row.note()).replaceOne(
          new Document("_id", 1), new Document("line", TEXT), new com.mongodb.client.model.ReplaceOptions().upsert(true));
    return database.getCollection(row.note()).find().first().getString("line");
  }

  static String redis(StringRedisTemplate template, Row row) {
    if (row.writes()) template.opsForValue().set(row.note(), TEXT);
    return template.opsForValue().get(row.note());
  }

  static String rabbitmq(RabbitTemplate template, Row row) {
    if (row.writes()) template.convertAndSend(row.note(), TEXT);
    return (String) template.receiveAndConvert(row.note(), 10_000);
  }

  static String kafka(KafkaProperties properties, Row row) throws Exception {
    return kafka(properties.buildProducerProperties(null), properties.buildConsumerProperties(null), row);
  }

  static String kafka(Map<String, Object> ofProducer, Map<String, Object> ofConsumer, Row row) throws Exception {
    if (row.writes())
      try (KafkaProducer<String, String> producer =
          new KafkaProducer<>(with(ofProducer, "max.block.ms", 10000), new StringSerializer(), new StringSerializer())) {
        producer.send(new ProducerRecord<>(row.note(), TEXT)).get(15, TimeUnit.SECONDS);
      }
    Map<String, Object> wish = with(with(ofConsumer, "group.id", row.note()), "auto.offset.reset", "earliest");
    try (KafkaConsumer<String, String> consumer =
        new KafkaConsumer<>(wish, new StringDeserializer(), new StringDeserializer())) {
      consumer.subscribe(List.of(row.note()));
      long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
      while (System.nanoTime() < end)
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(500))) return record.value();
    }
    throw new IllegalStateException("no message within 20 seconds");
  }

  private static Map<String, Object> with(Map<String, Object> properties, String key, Object value) {
    Map<String, Object> more = new java.util.HashMap<>(properties);
    more.put(key, value);
    return more;
  }

  static String elasticsearch(RestClient client, Row row) throws Exception {
    String path = "/" + row.note() + "/_doc/1";
    if (row.writes()) {
      Request put = new Request("PUT", path);
      put.setJsonEntity("{\"line\":\"" + TEXT + "\"}");
      client.performRequest(put);
    }
    String answer =
        org.apache.http.util.EntityUtils.toString(client.performRequest(new Request("GET", path)).getEntity());
    return new com.fasterxml.jackson.databind.ObjectMapper().readTree(answer).at("/_source/line").asText();
  }
}
