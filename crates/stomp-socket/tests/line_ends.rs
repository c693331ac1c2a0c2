//! Tests for the line end behind each frame on a byte stream.

#![allow(clippy::unwrap_used, reason = "a failing helper fails the test")]

mod support;

use futures_util::SinkExt;
use stomp_frame::{Command, Frame};
use stomp_socket::{Config, EncodedFrame, Outbound, Peer, Socket};
use support::{Script, connected, server};

/// Sends one item of each kind. Returns the bytes that the socket has written, in one write.
async fn written(make: impl Fn(Script) -> Socket) -> Vec<u8> {
    let (script, calls) = Script::new([]);
    let mut socket = connected(make(script));
    for item in [
        Outbound::Frame(Frame::new(Command::Error).with_body("no")),
        Outbound::HeartBeat,
        Outbound::Receipt("7".into()),
        Outbound::Encoded(EncodedFrame::new(
            "MESSAGE\nsubscription:0\n".into(),
            "\nhello\0".into(),
            true,
        )),
        Outbound::Ping,
    ] {
        socket.put(&item).unwrap();
    }
    // A frame that cannot be encoded leaves nothing behind.
    let odd = Frame::new(Command::Message).with_header("a", "\0");
    assert!(socket.put(&Outbound::Frame(odd)).is_err());
    socket.flush().await.unwrap();
    let writes = calls.lock().unwrap().writes.clone();
    assert_eq!(writes.len(), 1, "one write");
    writes.concat()
}

#[tokio::test]
async fn one_line_feed_follows_each_frame_on_a_byte_stream_and_no_heart_beat() {
    let over_byte_stream =
        |script| Socket::over_byte_stream(script, Peer::default(), &Config::default());
    assert_eq!(
        written(over_byte_stream).await.escape_ascii().to_string(),
        "ERROR\\ncontent-length:2\\n\\nno\\x00\\n\\nRECEIPT\\nreceipt-id:7\\n\\n\\x00\\n\
         MESSAGE\\nsubscription:0\\n\\nhello\\x00\\n"
    );
}

#[tokio::test]
async fn no_line_feed_follows_a_frame_in_a_websocket_message() {
    let bytes = written(server).await;
    assert!(
        !bytes.windows(2).any(|two| two == b"\0\n"),
        "{}",
        bytes.escape_ascii()
    );
}

/// A buffer with room for the frame has room for the line end, so a large frame is not copied again for one byte.
#[test]
fn a_large_frame_and_its_line_end_need_one_allocation() {
    let body = "x".repeat(1 << 20);
    let large = Frame::new(Command::Error).with_body(body.clone());
    let encoded = EncodedFrame::new("MESSAGE\n\n".into(), format!("{body}\0").into(), true);
    for item in [Outbound::Frame(large), Outbound::Encoded(encoded)] {
        let mut socket = connected(Socket::over_byte_stream(
            Script::new([]).0,
            Peer::default(),
            &Config::default(),
        ));
        let counted = allocation_counter::measure(|| socket.put(&item).unwrap());
        assert_eq!(counted.count_total, 1);
    }
}
