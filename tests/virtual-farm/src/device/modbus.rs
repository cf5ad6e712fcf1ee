//! Modbus slaves: several on one RTU bus, several behind one TCP server.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    device::{
        Shared,
        pty::Pty,
        reader::{corrupt, corrupt_percent},
    },
    rng::Rng,
    wire::modbus::{
        GATEWAY_TARGET_FAILED, TCP_HEADER, TcpHeader, answer, exception, rtu_frame,
        take_rtu_request,
    },
};

/// Silence after which a half-received request is forgotten.
const SILENCE: Duration = Duration::from_millis(50);

/// Runs the slaves `units` of one RTU bus until its port fails.
///
/// # Errors
/// When the terminal is gone.
pub async fn run_rtu(shared: Arc<Shared>, units: Vec<u8>, port: Arc<Pty>) -> io::Result<()> {
    let mut rng = Rng::stream(shared.sim().setup().seed, "rtu");
    let mut buffer = Vec::new();
    let mut chunk = [0; 256];
    loop {
        match timeout(SILENCE, port.receive(&mut chunk)).await {
            Err(_) => {
                buffer.clear();
                port.tidy()?;
            }
            Ok(count) => buffer.extend(&chunk[..count?]),
        }
        while let Some((unit, pdu)) = take_rtu_request(&mut buffer) {
            if !units.contains(&unit) {
                continue;
            }
            let (image, percent) = {
                let sim = shared.sim();
                (sim.registers(unit), corrupt_percent(&sim))
            };
            let Some(image) = image else { continue };
            let mut frame = rtu_frame(unit, &answer(&pdu, &image));
            if rng.chance(f64::from(percent) / 100.0) {
                corrupt(&mut frame, &mut rng);
            }
            port.send(&frame).await?;
        }
    }
}

/// Serves `units` on `listener` for ever; a unit that is dead is reported as a gateway reports it.
///
/// # Errors
/// When the listener fails.
pub async fn run_tcp(shared: Arc<Shared>, units: Vec<u8>, listener: TcpListener) -> io::Result<()> {
    let units = Arc::new(units);
    let mut clients = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        while clients.try_join_next().is_some() {}
        clients.spawn(serve_tcp(shared.clone(), units.clone(), stream));
    }
}

/// Serves one client until it leaves or speaks something else.
async fn serve_tcp(
    shared: Arc<Shared>,
    units: Arc<Vec<u8>>,
    mut stream: TcpStream,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let mut header = [0; TCP_HEADER];
        stream.read_exact(&mut header).await?;
        let Some(header) = TcpHeader::parse(header) else {
            return Ok(());
        };
        let mut pdu = vec![0; header.pdu_length];
        stream.read_exact(&mut pdu).await?;
        let image = units
            .contains(&header.unit)
            .then(|| shared.sim().registers(header.unit))
            .flatten();
        let reply = match image {
            Some(image) => answer(&pdu, &image),
            None => exception(pdu[0], GATEWAY_TARGET_FAILED),
        };
        stream.write_all(&header.reply(&reply)).await?;
    }
}
