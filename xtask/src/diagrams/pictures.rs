//! The diagrams of the book.

use super::svg::{Anchor, Font, Picture};

/// Draws one call, message by message.
pub(super) fn call() -> Picture {
    const CLIENT: f64 = 190.0;
    const SERVER: f64 = 590.0;
    let mut picture = Picture::new(
        780.0,
        330.0,
        "One call: the client pushes it and pulls its result, the server resolves it, and the client \
         releases it",
    );
    for (x, name) in [(CLIENT, "client"), (SERVER, "server")] {
        picture.text(x, 34.0, Anchor::Middle, Font::Title, name);
        picture.line("faint", (x, 46.0), (x, 310.0));
    }
    let messages = [
        (
            true,
            "[\"push\",[\"pipeline\",0,[\"square\"],[4]]]",
            "api.square(4.0)",
            "runs square, export 1",
        ),
        (true, "[\"pull\",1]", ".await", "wants the result"),
        (false, "[\"resolve\",1,16]", "16.0", "sends the result"),
        (
            true,
            "[\"release\",1,1]",
            "drops import 1",
            "drops export 1",
        ),
    ];
    let mut y = 86.0;
    for (to_server, message, client, server) in messages {
        let (from, to) = if to_server {
            (CLIENT, SERVER)
        } else {
            (SERVER, CLIENT)
        };
        picture.text(390.0, y - 8.0, Anchor::Middle, Font::Code, message);
        picture.arrow((from, y), (to, y));
        let font = if client.contains(['(', '.']) {
            Font::Code
        } else {
            Font::Note
        };
        picture.text(CLIENT - 14.0, y + 5.0, Anchor::End, font, client);
        picture.text(SERVER + 14.0, y + 5.0, Anchor::Start, Font::Note, server);
        y += 64.0;
    }
    picture
}

/// Draws three dependent calls, one after another and pipelined.
pub(super) fn pipelining() -> Picture {
    const CALLS: [&str; 3] = ["authenticate", "get_user_name", "greet"];
    /// The vertical distance that an arrow covers.
    const SLOPE: f64 = 34.0;
    let mut picture = Picture::new(
        780.0,
        350.0,
        "Three dependent calls: one after the other they take three round trips, pipelined they take one",
    );
    for (x, title) in [
        (195.0, "Awaited one by one: three round trips"),
        (585.0, "Pipelined: one round trip"),
    ] {
        picture.text(x, 32.0, Anchor::Middle, Font::Title, title);
    }
    picture.line("faint", (390.0, 20.0), (390.0, 330.0));
    let lifelines = |picture: &mut Picture, client: f64, server: f64| {
        picture.text(client, 60.0, Anchor::Middle, Font::Note, "client");
        picture.text(server, 60.0, Anchor::Middle, Font::Note, "server");
        picture.line("faint", (client, 70.0), (client, 328.0));
        picture.line("faint", (server, 70.0), (server, 328.0));
    };
    let (client, server) = (150.0, 350.0);
    lifelines(&mut picture, client, server);
    for (name, y) in CALLS.into_iter().zip([84.0, 164.0, 244.0]) {
        picture.text(client - 10.0, y + 5.0, Anchor::End, Font::Code, name);
        picture.arrow((client, y), (server, y + SLOPE));
        picture.arrow((server, y + SLOPE + 8.0), (client, y + 2.0 * SLOPE + 8.0));
    }
    let (client, server) = (540.0, 740.0);
    lifelines(&mut picture, client, server);
    for (name, y) in CALLS.into_iter().zip([84.0, 106.0, 128.0]) {
        picture.text(client - 10.0, y + 5.0, Anchor::End, Font::Code, name);
        picture.arrow((client, y), (server, y + SLOPE));
    }
    let answer = 128.0 + SLOPE + 8.0;
    picture.arrow((server, answer), (client, answer + SLOPE));
    picture.text(
        client - 10.0,
        answer + SLOPE + 5.0,
        Anchor::End,
        Font::Code,
        "\"Hello, ada!\"",
    );
    picture.text(
        640.0,
        300.0,
        Anchor::Middle,
        Font::Note,
        "Time runs downwards.",
    );
    picture
}

/// Draws the references between two processes.
pub(super) fn references() -> Picture {
    let mut picture = Picture::new(
        780.0,
        330.0,
        "Two processes: a stub in one refers, by its import and the other's export of the same ID, to \
         an object in the other",
    );
    for (x, name) in [(20.0, "client process"), (440.0, "server process")] {
        picture.rect("area", x, 44.0, 320.0, 266.0);
        picture.text(x + 160.0, 32.0, Anchor::Middle, Font::Title, name);
    }
    picture.text(390.0, 66.0, Anchor::Middle, Font::Note, "session");
    // An object of the server that the client holds.
    picture.labeled(
        "box",
        (36.0, 66.0, 130.0, 34.0),
        Font::Code,
        "CounterStub",
        "",
    );
    picture.labeled(
        "box",
        (36.0, 116.0, 130.0, 34.0),
        Font::Code,
        "its clone",
        "",
    );
    picture.labeled(
        "ours",
        (216.0, 88.0, 112.0, 42.0),
        Font::Plain,
        "import 1",
        "",
    );
    picture.labeled(
        "ours",
        (452.0, 88.0, 112.0, 42.0),
        Font::Plain,
        "export 1",
        "",
    );
    picture.labeled(
        "box",
        (614.0, 88.0, 130.0, 42.0),
        Font::Code,
        "Count",
        "object",
    );
    picture.arrow((166.0, 83.0), (216.0, 102.0));
    picture.arrow((166.0, 133.0), (216.0, 116.0));
    picture.arrow((328.0, 109.0), (452.0, 109.0));
    picture.arrow((564.0, 109.0), (614.0, 109.0));
    picture.text(390.0, 102.0, Anchor::Middle, Font::Note, "one reference");
    // A callback of the client that the server holds.
    picture.labeled(
        "box",
        (36.0, 202.0, 130.0, 42.0),
        Font::Code,
        "|tick| …",
        "closure",
    );
    picture.labeled(
        "ours",
        (216.0, 202.0, 112.0, 42.0),
        Font::Plain,
        "export −1",
        "",
    );
    picture.labeled(
        "ours",
        (452.0, 202.0, 112.0, 42.0),
        Font::Plain,
        "import −1",
        "",
    );
    picture.labeled(
        "box",
        (614.0, 202.0, 130.0, 42.0),
        Font::Code,
        "Callback",
        "stub",
    );
    picture.arrow((216.0, 223.0), (166.0, 223.0));
    picture.arrow((452.0, 223.0), (328.0, 223.0));
    picture.arrow((614.0, 223.0), (564.0, 223.0));
    picture.text(
        180.0,
        284.0,
        Anchor::Middle,
        Font::Note,
        "Dropping the last stub releases the import.",
    );
    picture.text(
        600.0,
        284.0,
        Anchor::Middle,
        Font::Note,
        "Then the export and its object are dropped.",
    );
    picture
}

/// Draws the window of a stream.
pub(super) fn window() -> Picture {
    let mut picture = Picture::new(
        780.0,
        270.0,
        "A window: the writer sends chunks until the window is full, and each acknowledgement makes \
         room for another",
    );
    picture.labeled(
        "box",
        (20.0, 40.0, 110.0, 60.0),
        Font::Plain,
        "writer",
        "waits",
    );
    picture.labeled(
        "box",
        (650.0, 40.0, 110.0, 60.0),
        Font::Plain,
        "reader",
        "takes chunk 3",
    );
    picture.arrow((130.0, 58.0), (650.0, 58.0));
    picture.text(390.0, 48.0, Anchor::Middle, Font::Note, "chunks");
    picture.arrow((650.0, 84.0), (130.0, 84.0));
    picture.text(
        390.0,
        104.0,
        Anchor::Middle,
        Font::Note,
        "an acknowledgement for each chunk that the reader takes",
    );
    for chunk in 1..=9_u8 {
        let x = 60.0 + f64::from(chunk - 1) * 74.0;
        let class = match chunk {
            1..=2 => "box",
            3..=6 => "ours",
            _ => "area",
        };
        let label = chunk.to_string();
        picture.labeled(class, (x, 160.0, 66.0, 40.0), Font::Plain, &label, "");
    }
    // The window covers chunks 3 to 6.
    let (left, right) = (204.0, 508.0);
    picture.line("line", (left, 146.0), (right, 146.0));
    picture.line("line", (left, 146.0), (left, 156.0));
    picture.line("line", (right, 146.0), (right, 156.0));
    picture.text(
        356.0,
        138.0,
        Anchor::Middle,
        Font::Plain,
        "window: 256 KiB to 1 GiB",
    );
    for (x, text) in [
        (130.0, "acknowledged"),
        (356.0, "sent, not acknowledged"),
        (612.0, "not yet read from the source"),
    ] {
        picture.text(x, 226.0, Anchor::Middle, Font::Note, text);
    }
    picture.text(
        390.0,
        252.0,
        Anchor::Middle,
        Font::Note,
        "When chunk 3 is acknowledged, the window moves, and chunk 7 is read and sent.",
    );
    picture
}

/// Draws the crates and their dependencies.
pub(super) fn crates() -> Picture {
    let mut picture = Picture::new(
        960.0,
        628.0,
        "The crates: the command line and the facade on top, then the transports, the core, and the \
         wire format",
    );
    picture.labeled(
        "box",
        (20.0, 24.0, 760.0, 56.0),
        Font::Code,
        "cli",
        "the command capnweb: call, explore, watch, replay",
    );
    picture.labeled(
        "box",
        (812.0, 24.0, 128.0, 56.0),
        Font::Code,
        "inspect",
        "recordings, leaks",
    );
    picture.arrow((780.0, 52.0), (812.0, 52.0));
    picture.arrow((876.0, 80.0), (876.0, 552.0));
    picture.arrow((400.0, 80.0), (400.0, 112.0));
    picture.labeled(
        "ours",
        (20.0, 112.0, 760.0, 56.0),
        Font::Code,
        "capnweb",
        "the facade: the dependency of applications; byte streams, axum",
    );
    let above = [
        (20.0, 190.0, "client", "reconnects"),
        (226.0, 180.0, "cluster", "named objects"),
        (422.0, 180.0, "worker", "Cloudflare Workers"),
        (618.0, 162.0, "macros", "#[interface]"),
    ];
    for (x, width, name, note) in above {
        picture.labeled("box", (x, 200.0, width, 56.0), Font::Code, name, note);
        picture.arrow((x + width / 2.0, 168.0), (x + width / 2.0, 200.0));
    }
    let transports = [
        (20.0, 136.0, "transport-ws", "WebSocket"),
        (166.0, 150.0, "transport-http", "HTTP batch"),
        (326.0, 212.0, "transport-webtransport", "HTTP/3"),
    ];
    for (x, width, name, note) in transports {
        picture.labeled("box", (x, 288.0, width, 56.0), Font::Code, name, note);
        picture.arrow((x + width / 2.0, 344.0), (x + width / 2.0, 376.0));
    }
    picture.arrow((88.0, 256.0), (88.0, 288.0));
    picture.arrow((580.0, 256.0), (580.0, 288.0));
    picture.labeled(
        "box",
        (558.0, 288.0, 142.0, 56.0),
        Font::Code,
        "transport-web",
        "JavaScript hosts",
    );
    picture.labeled(
        "box",
        (20.0, 376.0, 518.0, 56.0),
        Font::Code,
        "net",
        "sockets: dialing, proxies, origins, limits for all clients",
    );
    picture.arrow((279.0, 432.0), (279.0, 464.0));
    picture.arrow((629.0, 344.0), (629.0, 464.0));
    picture.labeled(
        "box",
        (20.0, 464.0, 760.0, 56.0),
        Font::Code,
        "core",
        "sessions: stubs, promises, pipelining, map, streams, limits",
    );
    picture.arrow((400.0, 520.0), (400.0, 552.0));
    picture.labeled(
        "box",
        (20.0, 552.0, 920.0, 56.0),
        Font::Code,
        "wire",
        "messages and expressions: scan, pick, write",
    );
    picture
}
