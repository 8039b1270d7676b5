//! Text, Mermaid and SVG.

use capnweb_inspect::{Event, mermaid, report, svg};

use crate::script::{Script, only};

fn session() -> Script {
    Script::new()
        .call(0, "authenticate", r#""t""#, 1)
        .answer(1, r#"["export",-1]"#)
        .call(-1, "getName", "", 2)
        .answer(2, r#""<b>;&""#)
        .client(r#"["push",["pipeline",0,["log"],[["import",-1]]]]"#)
        .close()
}

#[test]
fn calls_are_text() {
    let follower = session().follow();
    let text = report(only(&follower));
    let expected = "\
session 1  WebSocket /api  3 calls, 3 round trips, 9 messages
     1 ms      2 ms  1   authenticate(\"t\") → stub
     5 ms      2 ms  2   └ getName() → \"<b>;&\"
                        ⚑ awaiting call 1 cost a round trip: call this on its promise
 ┄┄┄┄┄ round trip 1 of the client ended at 3 ms
 ┄┄┄┄┄ round trip 2 of the client ended at 7 ms
     9 ms            3   log((stub of #1))  (not asked for)
                        takes the results of 1
  ended after 10 ms: 1000
";
    assert_eq!(text, expected);
}

#[test]
fn a_diagram_is_in_order_and_escaped() {
    let follower = session().follow();
    let text = mermaid(only(&follower));
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    assert_eq!(lines[0], "sequenceDiagram");
    assert_eq!(lines[3], "client->>server: 1 authenticate(\"t\")");
    assert_eq!(lines[4], "server-->>client: 1 = stub");
    assert!(text.contains("2 = \"#60;b#62;#59;#38;\""), "{text}");
    assert_eq!(*lines.last().unwrap(), "Note over client,server: 1000");
}

#[test]
fn a_picture_is_xml_whatever_is_in_the_messages() {
    let follower = session().follow();
    let picture = svg(only(&follower));
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    assert_eq!(picture.matches("class=\"trip\"").count(), 2);
    assert!(!picture.contains("<b>"));
    let evil = Script::new().call(0, "</svg><script>", "", 1).follow();
    assert!(!svg(only(&evil)).contains("<script>"));
}

#[test]
fn an_empty_session_is_drawn() {
    let mut script = Script::new();
    script
        .recording
        .entries
        .retain(|entry| matches!(entry.event, Event::Open { .. }));
    let follower = script.follow();
    assert!(report(only(&follower)).contains("0 calls"));
    assert!(svg(only(&follower)).contains("</svg>"));
}
