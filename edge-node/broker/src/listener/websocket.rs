//! MQTT inside WebSocket, for browsers: binary messages carry the byte stream, cut anywhere.

use std::{future::ready, io};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite, join},
    net::TcpStream,
};
use tokio_tungstenite::{
    accept_hdr_async_with_config,
    tungstenite::{
        Error, Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::{HeaderValue, StatusCode, header::SEC_WEBSOCKET_PROTOCOL},
        protocol::WebSocketConfig,
    },
};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

/// Names under which browsers ask for MQTT: 3.1.1 and 5, and 3.1.
const PROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// Answers a WebSocket handshake; what comes back carries MQTT as bytes. Messages beyond `max` bytes end it.
pub(super) async fn open(
    stream: TcpStream,
    max: usize,
) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send, Error> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(max))
        .max_frame_size(Some(max));
    let socket = accept_hdr_async_with_config(stream, agree, Some(config)).await?;
    let (sink, stream) = socket.split();
    let bytes = stream.filter_map(|message| {
        ready(match message {
            Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
            Ok(Message::Text(_)) => Some(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "MQTT is not text",
            ))),
            Ok(_) => None,
            Err(error) => Some(Err(io::Error::other(error))),
        })
    });
    let messages = sink
        .sink_map_err(io::Error::other)
        .with(|bytes: Bytes| ready(Ok::<_, io::Error>(Message::Binary(bytes))));
    Ok(join(
        StreamReader::new(bytes),
        SinkWriter::new(CopyToBytes::new(messages)),
    ))
}

/// Agrees on the first sub-protocol that is MQTT.
#[expect(
    clippy::result_large_err,
    reason = "the shape that tungstenite asks for"
)]
fn agree(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let asked = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    let mut names = asked
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let spoken = names.find_map(|name| PROTOCOLS.into_iter().find(|spoken| *spoken == name.trim()));
    let Some(spoken) = spoken else {
        let mut refusal =
            ErrorResponse::new(Some("ask for the WebSocket sub-protocol mqtt".to_owned()));
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        return Err(refusal);
    };
    response
        .headers_mut()
        .insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(spoken));
    Ok(response)
}
