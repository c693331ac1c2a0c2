//! Ends of sessions.

use crate::{connect, open};
use stomp_testing::{
    frames::disconnect,
    soon,
    websocket::{CLOSE, FIN, frame},
};
use tokio::{net::TcpListener, sync::mpsc};
use webstomp::{App, DisconnectReason, State};

#[tokio::test]
async fn the_disconnect_handler_runs_once_for_each_kind_of_end() {
    async fn note(
        State(reasons): State<mpsc::UnboundedSender<DisconnectReason>>,
        reason: DisconnectReason,
    ) {
        reasons.send(reason).unwrap();
    }
    let (sender, mut reasons) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = App::new().disconnect(note).with_state(sender);
    let server = tokio::spawn(app.serve(listener));

    let mut client = connect(address).await;
    client.receipt(disconnect()).await;
    client.expect_close(1000).await;
    drop(client);
    let reason = soon(reasons.recv()).await;
    assert_eq!(reason, Some(DisconnectReason::Requested));

    let mut client = connect(address).await;
    client.send_raw(frame(FIN | CLOSE, b"")).await;
    let reason = soon(reasons.recv()).await;
    assert_eq!(reason, Some(DisconnectReason::Closed));
    drop(client);

    drop(connect(address).await);
    let reason = soon(reasons.recv()).await;
    assert_eq!(reason, Some(DisconnectReason::Lost));

    let mut client = connect(address).await;
    client.send_bytes("SENT\n\n\0").await;
    client.expect_error("malformed-frame").await;
    client.expect_close(1002).await;
    drop(client);
    let reason = soon(reasons.recv()).await;
    assert_eq!(reason, Some(DisconnectReason::Fault));

    // The disconnect handler does not run for a session that was never connected. The channel closes when the last
    // session has ended.
    drop(open(address).await);
    server.abort();
    assert_eq!(soon(reasons.recv()).await, None);
}
