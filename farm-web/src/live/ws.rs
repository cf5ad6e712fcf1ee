//! `GET /live/ws`: the same events over a WebSocket, one JSON object in each text message.
//!
//! A browser lets any site open one with our cookies, and no answer keeps that site from reading: whoever names another origin
//! than ours is refused. What the client says is not listened to, but that it says something: one that answers no ping is gone.

use axum::{
    body::Body,
    extract::{Query, Request, State},
    response::Response,
};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::{self, OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        handshake::server::create_response_with_body,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{
    Watcher,
    watcher::{Next, Wanted},
};
use crate::{
    app::Web,
    auth::Me,
    csrf,
    error::{Error, Reason},
    lang::Speak,
};

/// The most bytes of a message that a client may send.
const SAID: usize = 1024;
/// A connection ends after so many beats in which nothing was heard.
const SILENT_BEATS: u32 = 3;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Shakes hands, and talks from then on.
pub(crate) async fn ws(
    State(web): State<Web>,
    me: Me,
    Speak(lang): Speak,
    Query(wanted): Query<Wanted>,
    mut request: Request,
) -> Result<Response, Error> {
    if !csrf::names_us(request.headers()) {
        return Err(Reason::CrossSite.into());
    }
    let answer = create_response_with_body(&request, Body::empty)
        .map_err(|error| Error::from(Reason::Malformed).detail(error.to_string()))?;
    if request.extensions().get::<OnUpgrade>().is_none() {
        let detail = "this connection cannot become a WebSocket";
        return Err(Error::from(Reason::Malformed).detail(detail));
    }
    let watcher = Watcher::begin(web, me, lang, &wanted).await?;
    let connection = upgrade::on(&mut request);
    tokio::spawn(async move {
        // Fails when the client goes away before it has the answer.
        let Ok(connection) = connection.await else {
            return;
        };
        let config = WebSocketConfig::default()
            .max_message_size(Some(SAID))
            .max_frame_size(Some(SAID));
        let connection = TokioIo::new(connection);
        let socket = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
        if let Err(error) = talk(socket, watcher).await {
            tracing::debug!(%error, "a WebSocket broke");
        }
    });
    Ok(answer)
}

/// Sends what there is until one of both ends it.
async fn talk(mut socket: Socket, mut watcher: Watcher) -> tungstenite::Result<()> {
    let mut silent = 0;
    loop {
        tokio::select! {
            heard = socket.next() => match heard {
                Some(heard) => {
                    heard?;
                    silent = 0;
                }
                None => return Ok(()),
            },
            next = watcher.next() => match next {
                Some(Next::News(frames)) => for frame in frames {
                    let event = serde_json::to_string(&frame).expect("numbers and text are JSON");
                    socket.send(event.into()).await?;
                },
                Some(Next::Beat) if silent < SILENT_BEATS => {
                    silent += 1;
                    socket.send(Message::Ping("".into())).await?;
                }
                Some(Next::Beat) => return Ok(()),
                None => return socket.close(None).await,
            },
        }
    }
}
