"""A subscriber with stomp.py for burst.mjs, like burst_subscriber.mjs."""

import hashlib
import json
import logging
import queue
import sys

import stomp

logging.disable(logging.CRITICAL)


class Subscriber(stomp.ConnectionListener):
    def __init__(self):
        self.bodies = queue.SimpleQueue()

    def on_receipt(self, frame):
        print("subscribed", flush=True)

    def on_message(self, frame):
        self.bodies.put(frame.body)

    def on_error(self, frame):
        print("ERROR:", frame.headers.get("message"), flush=True)

    def on_disconnected(self):
        print("closed", flush=True)


def main():
    options = json.loads(sys.argv[1])
    host, port = options["tcp"].split(":")
    connection = stomp.Connection12([(host, int(port))], vhost="/", auto_decode=False, reconnect_attempts_max=1)
    subscriber = Subscriber()
    connection.set_listener("subscriber", subscriber)
    connection.connect(options["login"], options["passcode"], wait=True)
    connection.subscribe(options["topic"], id="0", headers={"receipt": "subscribed"})
    for line in sys.stdin:
        bodies = hashlib.sha256()
        for _ in range(int(line)):
            bodies.update(subscriber.bodies.get())
        print(bodies.hexdigest(), flush=True)


main()
