//! A port in memory, whose clients choose their addresses.

use std::{io, net::SocketAddr};
use tokio::{io::DuplexStream, sync::mpsc};
use webstomp::{
    server::{Incoming, Listener},
    socket::Peer,
};

/// The listener of a port.
pub(crate) struct Port(mpsc::UnboundedReceiver<(DuplexStream, SocketAddr)>);

/// Connects to a port.
#[derive(Clone)]
pub(crate) struct Connector(mpsc::UnboundedSender<(DuplexStream, SocketAddr)>);

pub(crate) fn port() -> (Connector, Port) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Connector(sender), Port(receiver))
}

impl Connector {
    pub(crate) fn connect(&self, from: SocketAddr) -> DuplexStream {
        let (near, far) = tokio::io::duplex(4 << 10);
        self.0.send((far, from)).unwrap();
        near
    }
}

impl Listener for Port {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<Incoming<DuplexStream>> {
        let (stream, from) = self.0.recv().await.ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Incoming::new(stream, Peer::from_address(from)))
    }
}
