//! CoAP (RFC 7252) as nodes use it: `POST coap://edge/node` with one frame as its payload, and what goes back.
//!
//! Invariant: a request that is refused is answered with a code alone, so that nobody unknown is told more than he sent.

use coap_lite::{CoapOption, ContentFormat, MessageClass, MessageType, Packet};
use firmware_protocol::{Direction, Header, MAX_FRAME};

pub use coap_lite::ResponseType;

/// What a datagram asks for.
#[derive(Debug)]
pub enum Asked {
    /// Nothing that is answered.
    Nothing,
    /// A message that is not understood, or a ping.
    Reset(u16),
    /// A request that cannot be.
    Refused(Exchange, ResponseType),
    /// A frame.
    Frame(Exchange, Vec<u8>),
}

/// A request, as far as its answer needs it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Its message id.
    pub id: u16,
    token: Vec<u8>,
    /// Whether its sender waits for an acknowledgement.
    pub is_confirmable: bool,
}

impl Exchange {
    fn packet(&self, kind: MessageType, id: u16, code: MessageClass) -> Packet {
        let mut packet = Packet::new();
        packet.header.set_type(kind);
        packet.header.message_id = id;
        packet.header.code = code;
        packet
    }

    /// The answer; `own` is a message id of ours, for what does not ride on an acknowledgement.
    pub fn answer(&self, code: ResponseType, frame: Vec<u8>, own: Option<u16>) -> Vec<u8> {
        let (kind, id) = match own {
            Some(own) => (MessageType::NonConfirmable, own),
            None => (MessageType::Acknowledgement, self.id),
        };
        let mut packet = self.packet(kind, id, MessageClass::Response(code));
        packet.set_token(self.token.clone());
        if !frame.is_empty() {
            packet.set_content_format(ContentFormat::ApplicationOctetStream);
            packet.payload = frame;
        }
        packet.to_bytes().unwrap_or_default()
    }

    /// Says that the request came, and that its answer follows by itself.
    pub fn acknowledgement(&self) -> Vec<u8> {
        let packet = self.packet(MessageType::Acknowledgement, self.id, MessageClass::Empty);
        packet.to_bytes().unwrap_or_default()
    }
}

/// Reads a datagram; any bytes may come.
pub fn read(datagram: &[u8]) -> Asked {
    let [first, code, high, low, ..] = *datagram else {
        return Asked::Nothing;
    };
    let (version, kind, id) = (
        first >> 6,
        (first >> 4) & 3,
        u16::from_be_bytes([high, low]),
    );
    if version != 1 || kind > 1 {
        return Asked::Nothing;
    }
    let is_confirmable = kind == 0;
    let is_request = (1..32).contains(&code);
    let packet = Packet::from_bytes(datagram).ok().filter(|_| is_request);
    let Some(packet) = packet else {
        return if is_confirmable {
            Asked::Reset(id)
        } else {
            Asked::Nothing
        };
    };
    let exchange = Exchange {
        id,
        token: packet.get_token().to_vec(),
        is_confirmable,
    };
    match fault(code, &packet) {
        Some(fault) => Asked::Refused(exchange, fault),
        None => Asked::Frame(exchange, packet.payload),
    }
}

/// What is wrong with a request.
fn fault(code: u8, packet: &Packet) -> Option<ResponseType> {
    const POST: u8 = 2;
    const KNOWN: [CoapOption; 3] = [
        CoapOption::UriHost,
        CoapOption::UriPort,
        CoapOption::UriPath,
    ];
    let critical = |number: u16| number % 2 == 1;
    let known = |number: u16| KNOWN.iter().any(|option| u16::from(*option) == number);
    if packet.options().any(|(n, _)| critical(*n) && !known(*n)) {
        return Some(ResponseType::BadOption);
    }
    let path = packet.get_option(CoapOption::UriPath);
    if !path.is_some_and(|path| path.iter().map(Vec::as_slice).eq([b"node".as_slice()])) {
        return Some(ResponseType::NotFound);
    }
    if code != POST {
        return Some(ResponseType::MethodNotAllowed);
    }
    if packet.payload.len() > MAX_FRAME {
        return Some(ResponseType::RequestEntityTooLarge);
    }
    let header = Header::read(&packet.payload);
    let is_up = header.is_ok_and(|header| header.direction == Direction::Up);
    (!is_up).then_some(ResponseType::BadRequest)
}
