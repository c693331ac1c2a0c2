"""Controls stomp.py by lines of JSON, which remote.mjs describes."""

import base64
import json
import logging
import socket
import sys
import threading
import time

import stomp
from stomp.adapter.ws import WSStompConnection

TCP = {"1.0": stomp.Connection10, "1.1": stomp.Connection11, "1.2": stomp.Connection12}
OUTPUT = threading.Lock()

logging.disable(logging.CRITICAL)


class Peer(stomp.ConnectionListener):
    """A connection, which prints its events."""

    def __init__(self, name):
        self.name = name

    def open(self, host, port, version, login, passcode, heart_beats, path=None, binary=False):
        self.version = version
        options = {"auto_decode": False, "reconnect_attempts_max": 1}
        if version != "1.0":
            # By default, the client gives up if a heart-beat is late by half of its interval.
            options |= {"heartbeats": (heart_beats, heart_beats), "heart_beat_receive_scale": 5, "vhost": "/"}
        if path:
            options |= {"ws_path": path, "binary_mode": binary}
        kind = WSStompConnection if path else TCP[version]
        self.connection = kind([(host, port)], **options)
        self.connection.set_listener("peer", self)
        self.connection.connect(login, passcode)

    def subscribe_forever(self, host, port, login, passcode, destination):
        """Reconnects in on_disconnected, as the documentation of stomp.py shows it.

        A call may fail, since the thread that lost the old socket may close the new one too: then it connects again.
        """
        self.connection = stomp.Connection12(
            [(host, port)], vhost="/", auto_decode=False, reconnect_attempts_max=-1, reconnect_sleep_max=0.2
        )

        connecting = threading.Lock()

        def connect():
            # A failure in here calls on_disconnected, which calls this function again.
            if not connecting.acquire(blocking=False):
                return
            connected = False
            while not connected:
                try:
                    self.connection.connect(login, passcode, wait=True)
                    self.connection.subscribe(destination, id="0")
                    connected = self.connection.is_connected()
                except (OSError, stomp.exception.StompException):
                    time.sleep(0.1)
            connecting.release()

        self.on_disconnected = connect
        self.connection.set_listener("peer", self)
        connect()

    def send(self, destination, body, headers):
        self.connection.send(destination, base64.b64decode(body), headers=headers)

    def subscribe(self, destination, id, ack, headers):
        self.connection.subscribe(destination, id=id, ack=ack, headers=headers)

    def unsubscribe(self, destination, id, headers):
        self.connection.unsubscribe(id, headers=headers)

    def ack(self, message, headers):
        self.connection.ack(**self.delivery(message), **headers)

    def nack(self, message, headers):
        self.connection.nack(**self.delivery(message), **headers)

    def delivery(self, message):
        """The arguments of ACK and NACK that identify a message in this version."""
        if self.version == "1.2":
            return {"id": message["ack"]}
        if self.version == "1.1":
            return {"id": message["message-id"], "subscription": message["subscription"]}
        return {"id": message["message-id"]}

    def begin(self, transaction, headers):
        self.connection.begin(transaction, headers=headers)

    def commit(self, transaction, headers):
        self.connection.commit(transaction, headers=headers)

    def abort(self, transaction, headers):
        self.connection.abort(transaction, headers=headers)

    def leave(self):
        """Sends DISCONNECT, and reports "left" after all other events of the connection.

        At the RECEIPT, stomp.py calls on_disconnected before on_receipt: "end" is not the last event.
        """
        receiver = self.connection.transport.io_thread
        self.connection.disconnect()
        receiver.join(timeout=5)
        self.report("left")

    def terminate(self):
        wire = self.connection.transport.socket
        if wire:
            getattr(wire, "sock", wire).shutdown(socket.SHUT_RDWR)

    def stop_sending(self):
        self.connection.transport.transmit = lambda frame: None

    def on_connected(self, frame):
        self.report("connected", headers=frame.headers)

    def on_receipt(self, frame):
        self.report("receipt", headers=frame.headers)

    def on_error(self, frame):
        self.report("error", headers=frame.headers)

    def on_message(self, frame):
        self.report("message", headers=frame.headers, body=base64.b64encode(frame.body).decode())

    def on_heartbeat(self):
        self.report("heart-beat")

    def on_disconnected(self):
        self.report("end")

    def report(self, event, **details):
        with OUTPUT:
            print(json.dumps({"peer": self.name, "event": event, **details}), flush=True)


def main():
    peers = {}
    for line in sys.stdin:
        call = json.loads(line)
        peer = peers.setdefault(call["peer"], Peer(call["peer"]))
        try:
            getattr(peer, call["call"])(**call["args"])
        except (OSError, AttributeError, stomp.exception.StompException) as error:
            peer.report("end", reason=repr(error))


main()
