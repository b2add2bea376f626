package libraries;

/**
 * @param kind of the database, such as redis
 * @param does `write` a note and read it back, or only `read` it
 * @param note name of the table, key, queue, topic or index that the note is in
 */
record Row(String kind, String does, String note) {
  boolean writes() {
    return does.equals("write");
  }
}
