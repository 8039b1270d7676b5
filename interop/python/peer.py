"""A WebTransport peer on aioquic that speaks as capnweb-python does.

That library has a pipe of bytes over WebTransport, and ways of its own: it asks for a session in the
words of draft 02, writes on its stream without waiting for the answer, throws together what comes on any
stream, and expects replies on the stream that it opened itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import FrameType, H3Connection, StreamType
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived, WebTransportStreamDataReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, ProtocolNegotiated, QuicEvent, StreamReset

SECONDS = 5


class Peer(QuicConnectionProtocol):
    """What came, as it came; and what to send."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.http: H3Connection | None = None
        self.negotiated = asyncio.Event()
        self.session: int | None = None
        self.stream: int | None = None
        # Of the CONNECT stream: the answer, and what should not be there, such as capsules.
        self.answer: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        self.capsules = b""
        # The one queue for all streams, None at the end of one.
        self.received: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.streams_seen: set[int] = set()
        self.refused: set[int] = set()
        self.ended = asyncio.Event()
        self.unread = b""

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ProtocolNegotiated):
            self.http = H3Connection(self._quic, enable_webtransport=True)
            self.negotiated.set()
        elif isinstance(event, StreamReset):
            self.refused.add(event.stream_id)
        elif isinstance(event, ConnectionTerminated):
            self.received.put_nowait(None)
            self.ended.set()
        if self.http is not None:
            for found in self.http.handle_event(event):
                self.http_event_received(found)

    def http_event_received(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived) and not self.answer.done():
            self.answer.set_result({name.decode(): value.decode() for name, value in event.headers})
        elif isinstance(event, WebTransportStreamDataReceived):
            self.streams_seen.add(event.stream_id)
            if event.data:
                self.received.put_nowait(event.data)
            if event.stream_ended:
                self.received.put_nowait(None)
        elif isinstance(event, DataReceived):
            self.capsules += event.data

    def ask(self, path: str = "/", authority: str = "localhost") -> None:
        """Asks for a session."""
        if self.session is None:
            self.session = self._quic.get_next_available_stream_id()
        self.http.send_headers(
            stream_id=self.session,
            headers=[
                (b":method", b"CONNECT"),
                (b":protocol", b"webtransport"),
                (b":scheme", b"https"),
                (b":authority", authority.encode()),
                (b":path", path.encode()),
                (b"sec-webtransport-http3-draft", b"draft02"),
            ],
        )
        self.transmit()

    def open_stream(self) -> int:
        """Opens a stream of the session, and has the library know it again when replies come."""
        stream_id = self.http.create_webtransport_stream(session_id=self.session)
        with self.http._get_or_create_stream(stream_id) as stream:
            stream.stream_type = StreamType.WEBTRANSPORT
            stream.frame_type = FrameType.WEBTRANSPORT_STREAM
            stream.session_id = self.session
        return stream_id

    def send(self, data: str | bytes, end: bool = False) -> None:
        """Writes on the session's stream, which the first of it opens."""
        if self.stream is None:
            self.stream = self.open_stream()
        data = data.encode() if isinstance(data, str) else data
        self._quic.send_stream_data(self.stream, data, end_stream=end)
        self.transmit()

    def send_messages(self, *messages: list) -> None:
        self.send("".join(json.dumps(message) + "\n" for message in messages))

    async def receive(self) -> list | None:
        """The next message; None at the end."""
        while b"\n" not in self.unread:
            data = await asyncio.wait_for(self.received.get(), SECONDS)
            if data is None:
                return None
            self.unread += data
        line, self.unread = self.unread.split(b"\n", 1)
        return json.loads(line)

    async def headers(self) -> dict[str, str]:
        return await asyncio.wait_for(asyncio.shield(self.answer), SECONDS)


@contextlib.asynccontextmanager
async def connected(address: str) -> AsyncIterator[Peer]:
    """A peer whose handshake is done, and no more than that."""
    host, port = address.rsplit(":", 1)
    configuration = QuicConfiguration(
        is_client=True,
        alpn_protocols=["h3"],
        max_datagram_frame_size=65536,
        verify_mode=ssl.CERT_NONE,
    )
    async with connect(host, int(port), configuration=configuration, create_protocol=Peer) as peer:
        await asyncio.wait_for(peer.negotiated.wait(), SECONDS)
        yield peer
