"""What applications in Python do with the client that a page's program has opened: write a note and read it.

A note is the name of a table, key, queue, topic or index.
"""

TEXT = "from Python"


def postgresql(client, writes, note):
    with client:
        if writes:
            client.execute(f"INSERT INTO {note} VALUES (%s)", [TEXT])
        return client.execute(f"SELECT line FROM {note}").fetchone()[0]


def mysql(client, writes, note):
    with client, client.cursor() as cursor:
        if writes:
            cursor.execute(f"INSERT INTO {note} VALUES (%s)", [TEXT])
            client.commit()
        cursor.execute(f"SELECT line FROM {note}")
        return cursor.fetchone()[0]


def mongodb(database, writes, note):
    if writes:
        database[note].insert_one({"line": TEXT})
    return database[note].find_one({})["line"]


def redis(client, writes, note):
    if writes:
        client.set(note, TEXT)
    return client.get(note).decode()


def rabbitmq(client, writes, note):
    channel = client.channel()
    if writes:
        channel.confirm_delivery()
        channel.basic_publish("", note, TEXT.encode(), mandatory=True)
    _, _, message = channel.basic_get(note, auto_ack=True)
    client.close()
    return message.decode()


def kafka(options, writes, note):
    from confluent_kafka import Consumer, Producer

    if writes:
        producer = Producer(options)
        producer.produce(note, TEXT.encode())
        producer.flush()
    consumer = Consumer({**options, "group.id": note, "auto.offset.reset": "earliest"})
    consumer.subscribe([note])
    message = consumer.poll(30).value().decode()
    consumer.close()
    return message


def elasticsearch(client, writes, note):
    if writes:
        client.index(index=note, id="1", body={"line": TEXT})
    return client.get(index=note, id="1")["_source"]["line"]
