//! MQTT inside TLS. Who the client is may stand in its certificate; the configuration has checked it.

use std::io;

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;

/// Shakes hands; gives the stream, and the client's certificate if it showed one.
pub(super) async fn open(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
) -> io::Result<(impl AsyncRead + AsyncWrite + Unpin + Send, Option<Bytes>)> {
    let stream = acceptor.accept(stream).await?;
    let (_, connection) = stream.get_ref();
    let certificate = connection
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|end| Bytes::copy_from_slice(end));
    Ok((stream, certificate))
}
