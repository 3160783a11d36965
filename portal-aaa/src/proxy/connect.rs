//! A RadSec connection to a home server (RFC 6614), made again whenever it ends, ever more patiently.

use std::{io, sync::Arc, time::Duration};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncWriteExt as _, split},
    net::TcpStream,
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::driver::Input;
use crate::server::radsec::frame;

/// TCP and TLS.
const CONNECT: Duration = Duration::from_secs(10);
/// A peer that does not read.
const WRITE: Duration = Duration::from_secs(10);
/// Wait before the next attempt; doubled with each that fails.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Where it goes.
pub(super) struct Link {
    peer: usize,
    address: String,
    server_name: ServerName<'static>,
    tls: TlsConnector,
}

impl Link {
    pub(super) fn new(
        peer: usize,
        address: &str,
        server_name: &str,
        tls: Arc<ClientConfig>,
    ) -> io::Result<Self> {
        let server_name = ServerName::try_from(server_name.to_owned()).map_err(io::Error::other)?;
        Ok(Self { peer, address: address.to_owned(), server_name, tls: TlsConnector::from(tls) })
    }

    /// Keeps a connection until the driver is gone. `None` among the packets ends the one that there is.
    pub(super) async fn keep(
        self,
        mut packets: mpsc::Receiver<Option<Vec<u8>>>,
        inputs: mpsc::Sender<Input>,
    ) {
        let peer = self.peer;
        let mut pause = FIRST_PAUSE;
        loop {
            match timeout(CONNECT, self.connect()).await.unwrap_or_else(|late| Err(late.into())) {
                Ok(stream) => {
                    pause = FIRST_PAUSE;
                    tracing::info!(event = "radsec-connected", home_server = self.address);
                    // What was meant for an earlier connection has been given up by the core.
                    while packets.try_recv().is_ok() {}
                    if inputs.send(Input::Link { peer, up: true }).await.is_err() {
                        return;
                    }
                    let ended = serve(peer, stream, &mut packets, &inputs).await;
                    tracing::warn!(event = "radsec-closed", home_server = self.address, detail = ended);
                    if inputs.send(Input::Link { peer, up: false }).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(event = "radsec-unreachable", home_server = self.address, %error);
                }
            }
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            if inputs.is_closed() {
                return;
            }
        }
    }

    async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        self.tls.connect(self.server_name.clone(), stream).await
    }
}

/// Until either side ends it; says why.
async fn serve(
    peer: usize,
    stream: TlsStream<TcpStream>,
    packets: &mut mpsc::Receiver<Option<Vec<u8>>>,
    inputs: &mpsc::Sender<Input>,
) -> String {
    let (mut reader, mut writer) = split(stream);
    let read = async {
        loop {
            match frame::read(&mut reader).await {
                Ok(octets) => {
                    if inputs.send(Input::Received { peer, lane: 0, octets }).await.is_err() {
                        return "stopped".to_owned();
                    }
                }
                Err(error) => return error.to_string(),
            }
        }
    };
    let write = async {
        while let Some(Some(octets)) = packets.recv().await {
            let written = timeout(WRITE, async {
                writer.write_all(&octets).await?;
                writer.flush().await
            });
            match written.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error.to_string(),
                Err(_) => return "it does not read".to_owned(),
            }
        }
        "it does not answer".to_owned()
    };
    tokio::select! {
        ended = read => ended,
        ended = write => ended,
    }
}
