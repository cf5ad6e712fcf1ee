//! MQTT inside WebSocket: the same door, other clothes.

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http::HeaderValue},
};

use crate::{
    raw::{connect, publish_v4, subscribe_v4},
    support::{House, soon},
};

async fn dial(house: &House, protocol: &str) -> Result<WebSocketStream<TcpStream>, Error> {
    let address = house.door.addresses().websocket[0];
    let mut request = format!("ws://{address}/mqtt").into_client_request()?;
    let protocol = HeaderValue::from_str(protocol).expect("a protocol's name");
    request
        .headers_mut()
        .insert("sec-websocket-protocol", protocol);
    let stream = TcpStream::connect(address).await?;
    client_async(request, stream)
        .await
        .map(|(socket, response)| {
            assert_eq!(response.headers()["sec-websocket-protocol"], "mqtt");
            socket
        })
}

/// Reads `length` bytes, however they are cut into messages.
async fn read(socket: &mut WebSocketStream<TcpStream>, length: usize) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < length {
        let message = soon("a message", socket.next())
            .await
            .expect("open")
            .expect("sound");
        got.extend(message.into_data());
    }
    got
}

#[tokio::test]
async fn a_browser_publishes_and_hears_across_transports() {
    let mut house = House::open().await;
    let mut socket = dial(&house, "foo, mqtt").await.unwrap();
    // Two packets in one message, then one packet in two.
    let both = [connect(4, "browser", 60), subscribe_v4(1, "farm/#", 0)].concat();
    socket.send(Message::binary(both)).await.unwrap();
    assert_eq!(
        read(&mut socket, 9).await,
        [0x20, 2, 0, 0, 0x90, 3, 0, 1, 0]
    );
    let publish = publish_v4(0x32, "farm/x", 7, b"1");
    socket
        .send(Message::binary(publish[..5].to_vec()))
        .await
        .unwrap();
    socket
        .send(Message::binary(publish[5..].to_vec()))
        .await
        .unwrap();
    let (echo, puback) = (publish_v4(0x30, "farm/x", 0, b"1"), vec![0x40, 2, 0, 7]);
    let got = read(&mut socket, echo.len() + puback.len()).await;
    assert!(
        got == [&echo[..], &puback].concat() || got == [&puback[..], &echo].concat(),
        "{got:02x?}"
    );
    assert_eq!(&*house.next().await.publish.client_id, "browser");
    socket.close(None).await.unwrap();
    house
        .until("the browser gone", |stats| stats.connections == 0)
        .await;
}

#[tokio::test]
async fn text_and_other_protocols_are_refused() {
    let house = House::open().await;
    assert!(dial(&house, "chat").await.is_err());
    let mut socket = dial(&house, "mqtt").await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    soon("the end", async {
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
    house
        .until("both gone", |stats| stats.connections == 0)
        .await;
}
