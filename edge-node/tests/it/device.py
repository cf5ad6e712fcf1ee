"""A device as somebody would write it who has read docs/devices.md and nothing else."""

import json
import os
import ssl
import subprocess
import sys
import threading

import paho.mqtt.client as mqtt
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PATIENCE = 15


class Device:
    """A connection; `messages` wakes whoever waits for one."""

    def __init__(self, told, client_id, user=None, secret=None, will=None):
        self.client = mqtt.Client(client_id, transport=told.get("transport", "tcp"))
        if user is not None:
            self.client.username_pw_set(user, secret)
        if will is not None:
            self.client.will_set(*will, qos=1)
        if "ca" in told or "insecure" in told:
            self.client.tls_set(
                ca_certs=told.get("ca"),
                certfile=told.get("cert"),
                keyfile=told.get("key"),
                cert_reqs=ssl.CERT_NONE if "insecure" in told else ssl.CERT_REQUIRED,
            )
            self.client.tls_insecure_set("insecure" in told)
        self.heard, self.code, self.ended = {}, None, None
        self.changed = threading.Condition()
        self.client.on_connect = lambda c, u, f, code: self.set("code", code)
        self.client.on_disconnect = lambda c, u, code: self.set("ended", code)
        self.client.on_subscribe = lambda c, u, m, granted: self.set("granted", granted)
        self.client.on_message = self.message
        self.granted = None
        # TLS 1.3 tells a client what is wrong with its certificate only when it reads on.
        threading.excepthook = lambda failed: self.set("ended", failed.exc_value)
        self.client.connect("127.0.0.1", told["port"], keepalive=30)
        self.client.loop_start()
        self.wait(lambda: self.code is not None or self.ended is not None)

    def set(self, name, value):
        with self.changed:
            setattr(self, name, value)
            self.changed.notify_all()

    def message(self, client, userdata, message):
        with self.changed:
            self.heard[message.topic] = message.payload
            self.changed.notify_all()

    def wait(self, until):
        with self.changed:
            assert self.changed.wait_for(until, PATIENCE), "it did not come"

    def listen(self, topic):
        self.granted = None
        self.client.subscribe(topic, 1)
        self.wait(lambda: self.granted is not None)
        assert self.granted[0] < 0x80, "not allowed to listen to " + topic

    def say(self, topic, payload):
        self.client.publish(topic, payload, 1).wait_for_publish(PATIENCE)

    def next(self, topic):
        self.wait(lambda: self.heard.get(topic))
        return self.heard[topic]


def tell(text):
    print(text, flush=True)


def hold(told):
    """Comes in, listens to itself, and says when it is sent away."""
    device = Device(told, told["client"], told.get("user"), told.get("secret"))
    if device.code != 0:
        return tell("refused %s" % device.code)
    device.listen(told["listen"])
    tell("in")
    device.wait(lambda: device.ended is not None)
    tell("out")


def enter(told):
    """Comes in and says how that went."""
    try:
        device = Device(told, told["client"], told.get("user"), told.get("secret"))
    except ssl.SSLError:
        return tell("no TLS")
    if device.code is None:
        return tell("no TLS")
    tell("in" if device.code == 0 else "refused %s" % device.code)


def say(told):
    """Comes in, says what it is told to, and says when that was acknowledged."""
    device = Device(told, told["client"], told["user"], told["secret"])
    for topic, payload in told["says"]:
        device.say(topic, payload)
    device.client.disconnect()
    tell("said")


def wills(told):
    """Comes in as each of several with a last will, says how that went, and breaks off where it went well."""
    for user, secret, topic, payload in told["wills"]:
        device = Device(told, user, user, secret, (topic, payload))
        tell("in" if device.code == 0 else "refused %s" % device.code)
        device.client.loop_stop()
        if device.client.socket():
            device.client.socket().close()


def join(told):
    """Asks to join, waits to be approved, and comes back with what it was told."""
    serial, code = told["serial"], told["code"].replace("-", "").encode()
    device = Device(told, serial, "join")
    device.listen("khamar/join/key")
    edge = bytes.fromhex(device.next("khamar/join/key").decode())
    device.listen("khamar/join/answer/" + serial)
    own = X25519PrivateKey.generate()
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    public = own.public_key().public_bytes(*raw)
    shared = own.exchange(X25519PublicKey.from_public_bytes(edge))
    keys = HKDF(hashes.SHA256(), 64, b"khamar join 1", public + edge + serial.encode()).derive(shared + code)
    said = ["milk_meter", "KM 1", "1.0.2"]
    proof = hmac.HMAC(keys[:32], hashes.SHA256())
    proof.update("\n".join(said).encode())
    ask = dict(zip(["kind", "model", "firmware"], said), key=public.hex(), proof=proof.finalize().hex())
    device.say("khamar/join/ask/" + serial, json.dumps(ask))
    tell("asked")
    answer = device.next("khamar/join/answer/" + serial)
    grant = json.loads(ChaCha20Poly1305(keys[32:]).decrypt(answer[:12], answer[12:], serial.encode()))
    device.client.disconnect()
    with open(told["ca_to"], "w") as file:
        file.write(grant["ca"])
    tls = {"port": grant["tls_port"], "ca": told["ca_to"]}
    device = Device(tls, serial, grant["user"], grant["secret"])
    device.say("farm/device/%s/temperature" % grant["user"], '{"value": 4.5}')
    tell("joined %s %s %s" % (grant["user"], grant["secret"], grant["frame_key"]))


def renew(told):
    """Makes a key, asks for a certificate over its own connection, and comes back with it."""
    folder, name = told["folder"], told["user"]
    key, request, certificate = (os.path.join(folder, f) for f in ("own.key", "own.csr", "own.pem"))
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        + ["-subj", "/CN=anything", "-keyout", key, "-out", request],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    device = Device(told, name, name, told["secret"])
    topic = "khamar/node/%s/" % name
    device.listen(topic + "certificate")
    with open(request) as file:
        device.say(topic + "csr", file.read())
    with open(certificate, "wb") as file:
        file.write(device.next(topic + "certificate"))
    device.client.disconnect()
    device = Device(dict(told, cert=certificate, key=key), name)
    tell("in" if device.code == 0 else "refused %s" % device.code)


told = json.loads(sys.argv[2])
{"say": say, "wills": wills, "hold": hold, "enter": enter, "join": join, "renew": renew}[sys.argv[1]](told)
