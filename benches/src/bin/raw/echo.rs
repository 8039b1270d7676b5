//! Messages that the server echoes.

use crate::{
    Result,
    clock::{Clock, Report},
    link::Link,
    options::Options,
};

/// The length of a message in bytes, about that of a call's `push`.
const LENGTH: usize = 60;

pub(crate) fn load(options: &Options, print: &mut dyn FnMut(&str)) -> Result<Report> {
    let mut link = Link::connect(options)?;
    let (mut sent, mut received) = (0, 0);
    let in_flight = options.in_flight as u64;
    let mut clock = Clock::start(options, print);
    loop {
        if clock.report().is_none() {
            while sent < received + in_flight {
                options.over.write(&message(sent), link.output());
                sent += 1;
            }
        } else if received == sent {
            break;
        }
        link.exchange(|echo, _| {
            if echo != message(received) {
                let echo = String::from_utf8_lossy(echo);
                return Err(format!("the echo is another message: {echo}").into());
            }
            received += 1;
            Ok(())
        })?;
        clock.tick(received);
    }
    link.close()?;
    clock.report().ok_or_else(|| "nothing was measured".into())
}

/// Returns the message with this number.
fn message(number: u64) -> [u8; LENGTH] {
    let mut message = [b'.'; LENGTH];
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number).as_bytes();
    message[..digits.len()].copy_from_slice(digits);
    message
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        net::{SocketAddr, TcpListener},
        thread,
    };

    use super::*;
    use crate::{against, framing::Framing};

    /// Serves one connection with `serve`.
    fn server(serve: impl FnOnce(std::net::TcpStream) + Send + 'static) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || serve(listener.accept().unwrap().0));
        address
    }

    #[test]
    fn a_load_counts_the_echoes() {
        let at = server(|stream| drop(io::copy(&mut &stream, &mut &stream)));
        let report = load(&against(at, Framing::Lines), &mut |_| {}).unwrap();
        assert!(report.units > 0);
    }

    #[test]
    fn a_wrong_echo_ends_the_load() {
        let at = server(|stream| {
            let wrong = [message(1).as_slice(), b"\n"].concat();
            io::Write::write_all(&mut &stream, &wrong).unwrap();
            // Discard everything until the load ends.
            drop(io::copy(&mut &stream, &mut io::sink()));
        });
        let error = load(&against(at, Framing::Lines), &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains("another message"), "{error}");
    }
}
