"""Paho client: Eclipse Paho's MQTT clients, told what to do by lines of JSON, telling what happens to them in lines of JSON.

Knows no test and no broker. All clients are served by one loop; one that is to pause is passed over by it.
"""

import json
import os
import select
import sys

from paho.mqtt import client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCodes
from paho.mqtt.subscribeoptions import SubscribeOptions

PROTOCOLS = {"3.1": mqtt.MQTTv31, "3.1.1": mqtt.MQTTv311, "5.0": mqtt.MQTTv5}
STDIN = 0


def packed(kind, named):
    """Properties of a packet, from their names in lower camel case; data is text."""
    properties = Properties(kind)
    for name, value in named.items():
        if name == "correlationData":
            value = value.encode()
        setattr(properties, name[0].upper() + name[1:], value)
    return properties


def unpacked(properties):
    """The other way round."""
    named = {}
    for words in properties.names if properties else ():
        name = words.replace(" ", "")
        value = getattr(properties, name, None)
        if value is not None:
            named[name[0].lower() + name[1:]] = value.decode() if isinstance(value, bytes) else value
    return named


def code(reason):
    """5.0 has objects where 3.x has numbers."""
    return reason.value if isinstance(reason, ReasonCodes) else reason


class Client:
    def __init__(self, name, order):
        self.name = name
        self.is_five = order["version"] == "5.0"
        self.paused = False
        self.topics = {}
        session = {} if self.is_five else {"clean_session": order["clean"]}
        self.inner = inner = mqtt.Client(
            client_id=order["id"],
            protocol=PROTOCOLS[order["version"]],
            transport="websockets" if order["webSocket"] else "tcp",
            reconnect_on_failure=False,
            **session,
        )
        inner.on_connect = self.on_connect
        inner.on_message = self.on_message
        inner.on_subscribe = self.on_subscribe
        inner.on_unsubscribe = lambda *_: self.tell("unsuback")
        inner.on_publish = lambda *_: self.tell("published")
        inner.on_disconnect = self.on_disconnect
        inner.on_log = self.on_log
        if order["user"]:
            inner.username_pw_set(order["user"]["name"], order["user"]["password"])
        if order["will"]:
            will = order["will"]
            properties = packed(PacketTypes.WILLMESSAGE, will["properties"]) if self.is_five else None
            inner.will_set(will["topic"], will["payload"], will["qos"], will["retain"], properties)
        start = {}
        if self.is_five:
            start = {"clean_start": order["clean"], "properties": packed(PacketTypes.CONNECT, order["properties"])}
        inner.connect("127.0.0.1", order["port"], order["keepAlive"], **start)

    def tell(self, event, **fields):
        sys.stdout.write(json.dumps({"client": self.name, "event": event, **fields}) + "\n")
        sys.stdout.flush()

    # What happens to it. The callbacks of 5.0 have more parameters than those of 3.x.

    def on_connect(self, _client, _userdata, flags, reason, properties=None):
        present = bool(flags["session present"])
        self.tell("connack", code=code(reason), present=present, properties=unpacked(properties))

    def on_message(self, _client, _userdata, message):
        properties = unpacked(getattr(message, "properties", None))
        # The library leaves it to its user to know what an alias stands for.
        topic = message.topic
        alias = properties.get("topicAlias")
        if alias is not None:
            topic = self.topics[alias] = topic or self.topics[alias]
        payload = message.payload.decode()
        self.tell(
            "message", topic=topic, payload=payload, qos=message.qos, retain=bool(message.retain), properties=properties
        )

    def on_subscribe(self, _client, _userdata, _mid, reasons, _properties=None):
        self.tell("suback", granted=[code(reason) for reason in reasons])

    def on_disconnect(self, _client, _userdata, reason, properties=None):
        told = code(reason) if isinstance(reason, ReasonCodes) else None
        self.tell("end", reason=told, properties=unpacked(properties))

    def on_log(self, _client, _userdata, _level, line):
        if line == "Received PINGRESP":
            self.tell("pingresp")

    # What it is told to do.

    def subscribe(self, order):
        qos = order["qos"]
        if not self.is_five:
            self.inner.subscribe([(name, qos) for name in order["filters"]])
            return
        options = SubscribeOptions(qos, order["noLocal"], order["retainAsPublished"], order["retainHandling"])
        properties = Properties(PacketTypes.SUBSCRIBE)
        if order["identifier"] is not None:
            properties.SubscriptionIdentifier = order["identifier"]
        self.inner.subscribe([(name, options) for name in order["filters"]], properties=properties)

    def unsubscribe(self, order):
        self.inner.unsubscribe(order["filters"])

    def publish(self, order):
        properties = packed(PacketTypes.PUBLISH, order["properties"]) if self.is_five else None
        topic = order["topic"]
        for payload in order["payloads"]:
            self.inner.publish(topic, payload, order["qos"], order["retain"], properties)
            if "topicAlias" in order["properties"]:
                topic = ""

    def pause(self, _order):
        self.paused = True

    def resume(self, _order):
        self.paused = False

    def leave(self, order):
        if not self.is_five:
            self.inner.disconnect()
            return
        reason = ReasonCodes(PacketTypes.DISCONNECT, identifier=order["reason"])
        self.inner.disconnect(reason, packed(PacketTypes.DISCONNECT, order["properties"]))

    def vanish(self, _order):
        if self.inner.socket() is not None:
            self.inner.socket().close()


def obey(clients, order):
    name, what = order["client"], order["do"]
    if what == "open":
        clients[name] = Client(name, order)
    elif name in clients:
        getattr(clients[name], what)(order)
        if what == "vanish":
            del clients[name]


def main():
    clients = {}
    rest = b""
    while True:
        served = {c.inner.socket(): c.inner for c in clients.values() if not c.paused and c.inner.socket() is not None}
        writing = [sock for sock, inner in served.items() if inner.want_write()]
        readable, writable, _ = select.select([STDIN, *served], writing, [], 0.1)
        for sock, inner in served.items():
            if sock in readable:
                inner.loop_read()
            if sock in writable:
                inner.loop_write()
            inner.loop_misc()
        if STDIN not in readable:
            continue
        data = os.read(STDIN, 1 << 20)
        if data == b"":
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            obey(clients, json.loads(line))


main()
