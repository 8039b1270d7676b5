//! Lines over TCP.

use capnweb_peers::{Load, Meter, Report, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::message;

/// The size of one read. With more, both sides would wait for each other in turn.
const READ: usize = 8 * 1024;

const LINE: usize = message::LENGTH + 1;

/// Echoes everything until the end of the stream.
pub(crate) async fn echo(mut socket: TcpStream) -> Result {
    let mut buffer = vec![0; READ];
    loop {
        let read = socket.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        socket.write_all(&buffer[..read]).await?;
    }
}

pub(crate) async fn load(load: &Load) -> Result<Report> {
    let socket = TcpStream::connect(load.at).await?;
    socket.set_nodelay(true)?;
    let (meter, mut tasks) = (Meter::default(), JoinSet::new());
    tasks.spawn(lines(socket, load.in_flight as u64, meter.clone()));
    load.measure(meter, tasks).await
}

/// Keeps `in_flight` lines in flight, and checks each one that returns.
async fn lines(mut socket: TcpStream, in_flight: u64, meter: Meter) -> Result {
    let (mut input, mut output) = (Vec::with_capacity(2 * READ), Vec::new());
    let (mut sent, mut received) = (0, 0);
    while received < sent || !meter.is_over() {
        while sent < received + in_flight && !meter.is_over() {
            message::write(sent, &mut output);
            output.push(b'\n');
            sent += 1;
        }
        socket.write_all(&output).await?;
        output.clear();
        if (&mut socket).take(READ as u64).read_buf(&mut input).await? == 0 {
            return Err("the echo ended".into());
        }
        let lines = input.chunks_exact(LINE);
        let rest = lines.remainder().len();
        for line in lines {
            if !(message::is(&line[..message::LENGTH], received) && line.ends_with(b"\n")) {
                return Err("the echo is another line".into());
            }
            received += 1;
            meter.add(1);
        }
        input.drain(..input.len() - rest);
    }
    Ok(())
}
