"""Two GStreamer webrtcbin elements (libnice) that may only use the relay send each other data over a data channel.

    /usr/bin/python3 gstreamer_pair.py HOST PORT udp|tcp|tls USERNAME PASSWORD [PAUSE_SECONDS]

The pause is between an allocation and its first permission. Prints one line per direction and ends with 0; anything else
is a failure. It runs on Debian's own Python, which is where Debian's bindings are.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

PATIENCE = 20  # seconds for everything but the pause
MESSAGES = 50


class Pair:
    """Both ends of the call, in one pipeline."""

    def __init__(self, url: str, pause: float) -> None:
        self.loop = GLib.MainLoop()
        self.failure = "not done in time"
        self.pause = pause
        self.pipeline = Gst.Pipeline.new()
        self.one, self.other = (self.element(name, url) for name in ("one", "other"))
        self.bus = self.pipeline.get_bus()
        self.bus.add_signal_watch()
        self.bus.connect("message::error", lambda _bus, message: self.fail(str(message.parse_error())))
        self.channels: dict[str, GstWebRTC.WebRTCDataChannel] = {}

    def element(self, name: str, url: str) -> Gst.Element:
        element = Gst.ElementFactory.make("webrtcbin", name)
        element.set_property("bundle-policy", "max-bundle")
        element.set_property("ice-transport-policy", "relay")
        element.set_property("turn-server", url)
        self.pipeline.add(element)
        return element

    def fail(self, reason: str) -> None:
        self.failure = reason
        self.loop.quit()

    def run(self, patience: float) -> str:
        self.pipeline.set_state(Gst.State.READY)
        self.other.connect("on-data-channel", lambda _element, channel: self.ready("other", channel))
        channel = self.one.emit("create-data-channel", "e2e", None)
        channel.connect("on-open", lambda opened: self.ready("one", opened))
        self.pipeline.set_state(Gst.State.PLAYING)
        self.describe(self.one, "create-offer", lambda offer: GLib.timeout_add(int(self.pause * 1000), self.offered, offer))
        GLib.timeout_add(int(patience * 1000), self.loop.quit)
        self.loop.run()
        self.pipeline.set_state(Gst.State.NULL)
        return self.failure

    def describe(self, element: Gst.Element, action: str, then) -> None:
        """Makes a description, gathers, and hands the complete one on."""

        def gathered(*_args) -> None:
            if element.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
                description = element.get_property("local-description")
                if " typ relay " not in description.sdp.as_text():
                    self.fail(f"no relay candidate of {element.get_name()}")
                GLib.idle_add(lambda: then(description) and False)

        def described(promise: Gst.Promise) -> None:
            kind = "offer" if action == "create-offer" else "answer"
            reply = promise.get_reply()  # what it holds lives as long as this name
            description = reply.get_value(kind)
            element.emit("set-local-description", description, Gst.Promise.new())

        element.connect("notify::ice-gathering-state", gathered)
        element.emit(action, None, Gst.Promise.new_with_change_func(described))

    def offered(self, offer: GstWebRTC.WebRTCSessionDescription) -> bool:
        def accepted(_promise: Gst.Promise) -> None:
            self.describe(self.other, "create-answer", self.answered)

        self.other.emit("set-remote-description", remote(offer), Gst.Promise.new_with_change_func(accepted))
        return False

    def answered(self, answer: GstWebRTC.WebRTCSessionDescription) -> None:
        self.one.emit("set-remote-description", remote(answer), Gst.Promise.new())

    def ready(self, name: str, channel: GstWebRTC.WebRTCDataChannel) -> None:
        """Once both ends are there, one sends; what arrives is checked and answered."""
        self.channels[name] = channel
        if len(self.channels) < 2:
            return
        one, other = self.channels["one"], self.channels["other"]
        self.exchange(one, other, "there", lambda: self.exchange(other, one, "back", self.done))

    def exchange(self, sender, receiver, name: str, then) -> None:
        expected = [f"{name} {number}" for number in range(MESSAGES)]

        def received(_channel, text: str) -> None:
            if not expected:
                return
            if text != expected[0]:
                self.fail(f"expected {expected[0]}, received {text}")
            expected.pop(0)
            if not expected:
                print(f"{name}: {MESSAGES} messages", flush=True)
                GLib.idle_add(lambda: then() and False)

        receiver.connect("on-message-string", received)
        for message in list(expected):
            sender.emit("send-string", message)

    def done(self) -> None:
        self.fail("")


def remote(description: GstWebRTC.WebRTCSessionDescription) -> GstWebRTC.WebRTCSessionDescription:
    """Copies a description, because setting one takes it away from its owner."""
    _result, message = GstSdp.SDPMessage.new_from_text(description.sdp.as_text())
    return GstWebRTC.WebRTCSessionDescription.new(description.type, message)


def main(host: str, port: str, transport: str, username: str, password: str, pause: str = "0") -> str:
    Gst.init(None)
    name = f"[{host}]" if ":" in host else host
    scheme = "turns" if transport == "tls" else "turn"
    carrier = "udp" if transport == "udp" else "tcp"
    pair = Pair(f"{scheme}://{username}:{password}@{name}:{port}?transport={carrier}", float(pause))
    return pair.run(PATIENCE + float(pause))


if failure := main(*sys.argv[1:]):
    sys.exit(failure)
