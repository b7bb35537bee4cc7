"""Reads one order's event from orders.v1, knowing only the topic's name and what `npx ragline env` prints.

Waits for the record whose key is ORDER_ID, decodes it with the schema that the registry has under the
id in the record, and prints {"key", "headers", "value", "schema_subjects"} as one line of JSON.
Exits with 1 when the record does not come within WITHIN_S seconds.
"""
import json
import os
import sys
import time
import uuid

from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

topic = "orders.v1"
order_id = os.environ["ORDER_ID"]
registry = SchemaRegistryClient({"url": os.environ["SCHEMA_REGISTRY_URL"]})
decode = AvroDeserializer(registry)
consumer = Consumer(
    {
        "bootstrap.servers": os.environ["KAFKA_BROKERS"],
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanisms": os.environ["KAFKA_SASL_MECHANISM"].upper(),
        "sasl.username": os.environ["KAFKA_USERNAME"],
        "sasl.password": os.environ["KAFKA_PASSWORD"],
        "group.id": f"foreign-{uuid.uuid4()}",
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
    }
)
consumer.subscribe([topic])
deadline = time.monotonic() + float(os.environ.get("WITHIN_S", "60"))
try:
    while time.monotonic() < deadline:
        record = consumer.poll(1.0)
        if record is None or record.error() or record.key() is None or record.key().decode() != order_id:
            continue
        value = decode(record.value(), SerializationContext(topic, MessageField.VALUE))
        print(
            json.dumps(
                {
                    "key": record.key().decode(),
                    "headers": {name: raw.decode() for name, raw in record.headers()},
                    "value": value,
                    "schema_subjects": registry.get_subjects(),
                },
                default=str,
            )
        )
        sys.exit(0)
finally:
    consumer.close()
print(f"no record with the key {order_id} came", file=sys.stderr)
sys.exit(1)
