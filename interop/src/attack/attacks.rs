//! The attacks.

use std::{
    fmt::Write as _,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use super::raw::{Socket, connect, post, write_zeros};

/// The connections that an attacker keeps open until the end of its attack.
#[derive(Default)]
pub(crate) struct Held {
    sockets: Vec<Socket>,
    streams: Vec<TcpStream>,
}

/// An attack, and the server's promises during it.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) run: fn(SocketAddr, &mut Held) -> io::Result<()>,
    /// The maximum additional resident memory, in MiB.
    pub(crate) peak: u64,
    /// The number of file descriptors of the server, if it matters.
    pub(crate) descriptors: Option<usize>,
}

const fn attack(
    name: &'static str,
    peak: u64,
    run: fn(SocketAddr, &mut Held) -> io::Result<()>,
) -> Attack {
    Attack {
        name,
        run,
        peak,
        descriptors: None,
    }
}

/// The memory in MiB that one session may use. Held bytes are counted within a factor of 1.5.
const HELD: u64 = 512 * 3 / 2;

/// The memory in MiB for unfinished messages or unread answers of all clients, including one that
/// is being copied to a larger buffer.
const SHARED: u64 = 512 + 200;

/// The memory in MiB for a value that is computed and cannot be sent.
const VALUE: u64 = 300;

/// The memory in MiB for four million objects of the application, which are created before they are
/// counted: about 430 bytes each, including the list that contains them and its encoding.
const OBJECTS: u64 = 1800;

/// The memory in MiB for the application's list of five million calls.
const CALLS: u64 = 480;

pub(crate) const ATTACKS: &[Attack] = &[
    attack("leak: a writable in a circle", 60, leak_writable),
    attack("leak: a writable in an error's properties", 60, leak_error),
    attack(
        "leak: a resolved export behind a settled stub",
        60,
        leak_settled,
    ),
    attack("leak: a circle too far to walk", 200, leak_far),
    attack(
        "leak: a callback that is resolved to our main object",
        60,
        leak_kept,
    ),
    attack(
        "stall: a map of a map over 2,000 elements, 20 times",
        VALUE,
        map_of_map,
    ),
    attack(
        "stall: 1,900 reads of an index of 1,900",
        VALUE,
        index_reads,
    ),
    attack("stall: five chains of 30 doublings", HELD, doublings),
    attack("stall: getMany(4,000,000)", OBJECTS, get_very_many),
    attack(
        "stall: callMany(f, 1,000,000), read and not answered",
        HELD,
        call_many,
    ),
    attack("stall: 10 messages of 90 MB of text", VALUE, long_texts),
    attack("stall: 30 MB of calls in a message", HELD, many_calls),
    attack(
        "bounds: 5,000,000 calls that nobody reads",
        HELD + CALLS,
        calls_unread,
    ),
    attack("bounds: 40 × getMany(200,000)", HELD, capabilities),
    attack("bounds: 20 half frames of 90 MB", SHARED, half_frames),
    attack("bounds: 20 half bodies of 90 MB", SHARED, half_bodies),
    attack(
        "bounds: answers to 6 batches, unread",
        HELD + SHARED,
        unread_answers,
    ),
    Attack {
        descriptors: Some(200),
        ..attack("400 silent connections, 200 descriptors", 60, silent)
    },
    Attack {
        descriptors: Some(200),
        ..attack("400 half requests, 200 descriptors", 60, half_requests)
    },
];

/// A push that creates a counter, which reveals a leak.
const WITNESS: &str = r#"["push",["pipeline",0,["makeCounter"],[]]]"#;

/// Sends these messages on each of ten connections, and disconnects.
fn on_ten(server: SocketAddr, messages: &[&str]) -> io::Result<()> {
    for _ in 0..10 {
        let mut socket = Socket::open(server)?;
        socket.send(WITNESS)?;
        for message in messages {
            socket.send(message)?;
        }
        // Once this is answered, all earlier messages have been received.
        socket.send(r#"["push",["pipeline",0,["square"],[3]]]"#)?;
        let pushes = messages
            .iter()
            .filter(|message| message.starts_with(r#"["push""#));
        socket.send(&format!(r#"["pull",{}]"#, pushes.count() + 2))?;
        // The server may have ended the session instead.
        let _ = socket.receive();
    }
    Ok(())
}

fn leak_writable(server: SocketAddr, _: &mut Held) -> io::Result<()> {
    on_ten(
        server,
        &[
            r#"["push",["pipeline",0,["nope"],[["promise",-1]]]]"#,
            r#"["resolve",-1,{"w":["writable",-1],"c":["import",1]}]"#,
        ],
    )
}

fn leak_error(server: SocketAddr, _: &mut Held) -> io::Result<()> {
    on_ten(
        server,
        &[
            r#"["push",["pipeline",0,["nope"],[["promise",-1]]]]"#,
            r#"["reject",-1,["error","Error","x",null,{"w":["writable",-1],"c":["import",1]}]]"#,
        ],
    )
}

fn leak_settled(server: SocketAddr, _: &mut Held) -> io::Result<()> {
    on_ten(
        server,
        &[
            r#"["push",["pipeline",0,["echo"],[{"a":["export",-1],"b":["promise",-2]}]]]"#,
            r#"["resolve",-2,0]"#,
            r#"["resolve",-1,{"q":["pipeline",2],"c":["import",1]}]"#,
        ],
    )
}

fn leak_far(server: SocketAddr, _: &mut Held) -> io::Result<()> {
    let stubs = |from: usize, count: usize| {
        let mut list = String::from("[[");
        for id in from..from + count {
            let _ = write!(list, r#"["export",-{id}],"#);
        }
        list.pop();
        list + "]]"
    };
    on_ten(
        server,
        &[
            r#"["push",["pipeline",0,["echo"],[{"a":["promise",-1],"b":["promise",-2]}]]]"#,
            r#"["resolve",-1,{"s":["import",2],"z":["export",-5],"c":["import",1]}]"#,
            &format!(
                r#"["resolve",-5,{{"l":{},"p":["promise",-6]}}]"#,
                stubs(100, 19_000)
            ),
            &format!(r#"["resolve",-2,{{"l":{}}}]"#, stubs(20_000, 1_500)),
        ],
    )
}

fn leak_kept(server: SocketAddr, _: &mut Held) -> io::Result<()> {
    on_ten(
        server,
        &[
            r#"["push",["pipeline",0,["probe","keep"],[["export",-1]]]]"#,
            r#"["resolve",-1,{"m":["import",0],"c":["import",1]}]"#,
        ],
    )
}

/// Pulls the result of push `id`, and waits for an answer or the end.
fn pull(socket: &mut Socket, id: usize) -> io::Result<()> {
    socket.send(&format!(r#"["pull",{id}]"#))?;
    loop {
        match socket.receive() {
            Ok(message) if is_answer(&message) => return Ok(()),
            Ok(_) => {}
            // The server has decided to end the session.
            Err(_) => return Ok(()),
        }
    }
}

fn is_answer(message: &str) -> bool {
    ["[\"resolve\"", "[\"reject\"", "[\"abort\""]
        .iter()
        .any(|begin| message.starts_with(begin))
}

fn map_of_map(server: SocketAddr, held: &mut Held) -> io::Result<()> {
    let mut socket = Socket::open(server)?;
    socket.send(r#"["push",["pipeline",0,["list"],[2000]]]"#)?;
    for id in 2..22 {
        socket.send(
            r#"["push",["remap",1,[],[["import",1]],[["remap",-1,[],[],[["pipeline",0]]]]]]"#,
        )?;
        pull(&mut socket, id)?;
    }
    held.sockets.push(socket);
    Ok(())
}

fn index_reads(server: SocketAddr, held: &mut Held) -> io::Result<()> {
    let mut socket = Socket::open(server)?;
    socket.send(r#"["push",["pipeline",0,["list"],[1900]]]"#)?;
    let reads = vec![r#"["pipeline",1,[1899]]"#; 1900].join(",");
    socket.send(&format!(
        r#"["push",["pipeline",0,["echo"],[[[{reads}]]]]]"#
    ))?;
    pull(&mut socket, 2)?;
    held.sockets.push(socket);
    Ok(())
}

fn doublings(server: SocketAddr, held: &mut Held) -> io::Result<()> {
    let mut socket = Socket::open(server)?;
    let mut id = 0;
    let mut last = Vec::new();
    for _ in 0..5 {
        socket.send(r#"["push",["pipeline",0,["echo"],["0123456789abcdef"]]]"#)?;
        id += 1;
        for _ in 0..30 {
            let double = format!(r#"[[["pipeline",{id}],["pipeline",{id}]]]"#);
            socket.send(&format!(r#"["push",["pipeline",0,["echo"],[{double}]]]"#))?;
            id += 1;
        }
        last.push(id);
    }
    for id in last {
        pull(&mut socket, id)?;
    }
    held.sockets.push(socket);
    Ok(())
}

fn get_many(socket: &mut Socket, count: usize) -> io::Result<()> {
    socket.send(&format!(r#"["push",["pipeline",0,["getMany"],[{count}]]]"#))
}

fn get_very_many(server: SocketAddr, held: &mut Held) -> io::Result<()> {
    let mut socket = Socket::open(server)?;
    get_many(&mut socket, 4_000_000)?;
    pull(&mut socket, 1)?;
    held.sockets.push(socket);
    Ok(())
}

fn capabilities(server: SocketAddr, held: &mut Held) -> io::Result<()> {
    let mut socket = Socket::open(server)?;
    for _ in 0..40 {
        // The server may have ended the session.
        if get_many(&mut socket, 200_000).is_err() {
            break;
        }
    }
    socket.read_for(Duration::from_secs(5));
    held.sockets.push(socket);
    Ok(())
}

fn call_many(server: SocketAddr, held: &mut Held) -> io::Result<()> {
    let mut socket = Socket::open(server)?;
    socket.send(r#"["push",["pipeline",0,["probe","callMany"],[["export",-1],1000000]]]"#)?;
    socket.read_for(Duration::from_secs(5));
    held.sockets.push(socket);
    Ok(())
}

/// Sends the longest texts that are allowed, in three-byte characters.
fn long_texts(server: SocketAddr, held: &mut Held) -> io::Result<()> {
    let mut socket = Socket::open(server)?;
    let text = "語".repeat(30 << 20);
    for id in 1..=10 {
        socket.send(&format!(r#"["push",["pipeline",0,["square"],["{text}"]]]"#))?;
        pull(&mut socket, id)?;
    }
    held.sockets.push(socket);
    Ok(())
}

fn many_calls(server: SocketAddr, held: &mut Held) -> io::Result<()> {
    let mut socket = Socket::open(server)?;
    let calls = vec![r#"["pipeline",0,["square"],[7]]"#; 1_000_000].join(",");
    // It may exceed a limit.
    if socket.send(&format!(r#"["push",[[{calls}]]]"#)).is_ok() {
        pull(&mut socket, 1)?;
    }
    held.sockets.push(socket);
    Ok(())
}

fn calls_unread(server: SocketAddr, held: &mut Held) -> io::Result<()> {
    let mut socket = Socket::open(server)?;
    socket.send(r#"["push",["pipeline",0,["probe","callMany"],[["export",-1],5000000]]]"#)?;
    std::thread::sleep(Duration::from_secs(8));
    held.sockets.push(socket);
    Ok(())
}

const LARGE: usize = 90 << 20;

fn half_frames(server: SocketAddr, held: &mut Held) -> io::Result<()> {
    for _ in 0..20 {
        let mut socket = Socket::open(server)?;
        // The server refuses it from some point on.
        let _ = socket.send_part(LARGE, LARGE / 2);
        held.sockets.push(socket);
    }
    Ok(())
}

fn half_bodies(server: SocketAddr, held: &mut Held) -> io::Result<()> {
    for _ in 0..20 {
        let mut stream = post(server, LARGE, b"")?;
        let _ = write_zeros(&mut stream, LARGE / 2);
        held.streams.push(stream);
    }
    Ok(())
}

fn unread_answers(server: SocketAddr, held: &mut Held) -> io::Result<()> {
    let mut batch = String::new();
    for id in 1..=5 {
        let _ = writeln!(batch, r#"["push",["pipeline",0,["list"],[4000000]]]"#);
        let _ = writeln!(batch, r#"["pull",{id}]"#);
    }
    for _ in 0..6 {
        let mut stream = post(server, batch.len(), batch.as_bytes())?;
        // The head shows that the answer is there. The answer is then not read.
        let mut begin = [0; 12];
        let _ = stream.read_exact(&mut begin);
        held.streams.push(stream);
    }
    Ok(())
}

/// Opens connections that only send `begin`, and checks that other clients are still served.
/// The maximum time until a new client is served.
const NEW_CLIENT: Duration = Duration::from_secs(10);

fn stay_silent(server: SocketAddr, held: &mut Held, begin: &[u8]) -> io::Result<()> {
    for _ in 0..400 {
        let mut stream = connect(server)?;
        // The server may have closed the connection.
        let _ = stream.write_all(begin);
        held.streams.push(stream);
    }
    // A new client of the same address may be refused while all these connections are young. As
    // clients do, it tries again.
    let start = Instant::now();
    let mut socket = loop {
        match Socket::open(server) {
            Ok(socket) => break socket,
            Err(error) if start.elapsed() > NEW_CLIENT => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    };
    socket.send(r#"["push",["pipeline",0,["square"],[3]]]"#)?;
    pull(&mut socket, 1)?;
    held.sockets.push(socket);
    let wait = start.elapsed();
    if wait > NEW_CLIENT {
        return Err(io::Error::other(format!(
            "a new client waited for {wait:?}"
        )));
    }
    Ok(())
}

fn silent(server: SocketAddr, held: &mut Held) -> io::Result<()> {
    stay_silent(server, held, b"")
}

fn half_requests(server: SocketAddr, held: &mut Held) -> io::Result<()> {
    stay_silent(server, held, b"POST / HTTP/1.1\r\nhost:")
}
