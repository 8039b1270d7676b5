//! The peers.

use crate::socket::Carrier;

/// A peer that asks for much.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) messages: Vec<String>,
    /// The number of outcomes that come back.
    pub(crate) outcomes: usize,
    pub(crate) answers: bool,
    pub(crate) carrier: Carrier,
}

fn push(expr: &str) -> String {
    format!("[\"push\",{expr}]")
}

fn case(name: impl Into<String>, pushes: Vec<String>, pulls: &[usize]) -> Case {
    let mut messages: Vec<String> = pushes.iter().map(|expr| push(expr)).collect();
    messages.extend(pulls.iter().map(|id| format!("[\"pull\",{id}]")));
    Case {
        name: name.into(),
        messages,
        outcomes: pulls.len(),
        answers: false,
        carrier: Carrier::Script,
    }
}

fn list(n: usize) -> String {
    format!("[\"pipeline\",0,[\"list\"],[{n}]]")
}

pub(crate) fn cases() -> Vec<Case> {
    let join = |n: usize, f: &dyn Fn(usize) -> String| -> String {
        (0..n).map(f).collect::<Vec<_>>().join(",")
    };
    let mut cases = vec![
        case(
            "a map of a map over list(2000)",
            vec![
                list(2000),
                r#"["remap",1,[],[["import",1]],[["remap",-1,[],[],[["pipeline",0]]]]]"#.into(),
            ],
            &[2],
        ),
        case(
            "a map of a map that calls, over list(1000)",
            vec![
                list(1000),
                r#"["remap",1,[],[["import",1],["import",0]],[["remap",-1,[],[["import",-2]],[["pipeline",-1,["square"],[["pipeline",0]]]]]]]"#.into(),
            ],
            &[2],
        ),
        case(
            "1,900 by 1,900 reads of an index",
            vec![
                list(1900),
                format!(
                    r#"["remap",1,[],[["import",1]],[{}]]"#,
                    join(1900, &|i| format!("[\"pipeline\",-1,[{i}]]"))
                ),
            ],
            &[2],
        ),
        case(
            "1,900 reads of an index of list(1,000,000)",
            vec![
                list(1_000_000),
                format!("[[{}]]", join(1900, &|i| format!("[\"pipeline\",1,[{i}]]"))),
            ],
            &[2],
        ),
        case(
            "30 doublings of a promise",
            (0..31)
                .map(|i| match i {
                    0 => r#"["pipeline",0,["echo"],["twenty bytes of text"]]"#.into(),
                    i => format!(
                        r#"["pipeline",0,["echo"],[[[["pipeline",{i}],["pipeline",{i}]]]]]"#
                    ),
                })
                .collect(),
            &[31],
        ),
        case(
            "20 doublings that are decoded",
            (0..21)
                .map(|i| match i {
                    0 => r#"["pipeline",0,["decode"],[7]]"#.into(),
                    i => format!(
                        r#"["pipeline",0,["decode"],[[[["pipeline",{i}],["pipeline",{i}]]]]]"#
                    ),
                })
                .collect(),
            &[21],
        ),
        case(
            "14,000 copies of a promise of 500 bytes",
            vec![
                format!(r#"["pipeline",0,["echo"],["{}"]]"#, "x".repeat(500)),
                format!(
                    r#"["pipeline",0,["echo"],[[[{}]]]]"#,
                    join(14_000, &|_| "[\"pipeline\",1]".into())
                ),
            ],
            &[2],
        ),
        case("getMany(4,000,000)", vec![r#"["pipeline",0,["getMany"],[4000000]]"#.into()], &[1]),
        case("getMany(200,000)", vec![r#"["pipeline",0,["getMany"],[200000]]"#.into()], &[1]),
        case("list(10,000,000)", vec![list(10_000_000)], &[1]),
        case("laterMany(2,000,000)", vec![r#"["pipeline",0,["laterMany"],[2000000]]"#.into()], &[1]),
        case(
            "30 MB of numbers",
            vec![format!(
                r#"["pipeline",0,["count"],[[[{}]]]]"#,
                join(15_000_000, &|_| "7".into())
            )],
            &[1],
        ),
        case(
            "30 MB of text",
            vec![format!(r#"["pipeline",0,["echo"],["{}"]]"#, "x".repeat(30 << 20))],
            &[1],
        ),
        case(
            "30 MB of objects of the peer's",
            vec![format!(
                r#"["pipeline",0,["nothing"],[[[{}]]]]"#,
                join(1_600_000, &|i| format!("[\"export\",-{}]", i + 1))
            )],
            &[1],
        ),
        case(
            "24 KB of numbers",
            vec![format!(
                r#"["pipeline",0,["count"],[[[{}]]]]"#,
                join(11_900, &|_| "7".into())
            )],
            &[1],
        ),
        case(
            "500 KB of text",
            vec![format!(
                r#"["pipeline",0,["echo"],["{}"]]"#,
                "x".repeat(500_000)
            )],
            &[1],
        ),
        case(
            "64 KB of calls in one message",
            vec![format!(
                "[[{}]]",
                join(1_980, &|_| "[\"pipeline\",0,[\"square\"],[7]]".into())
            )],
            &[1],
        ),
        case(
            "1 MB of calls in one message",
            vec![format!(
                "[[{}]]",
                join(30_000, &|_| "[\"pipeline\",0,[\"square\"],[7]]".into())
            )],
            &[1],
        ),
        case(
            "15,000 calls on a promise that settles",
            std::iter::once(r#"["pipeline",0,["wait"],[500]]"#.into())
                .chain((0..15_000).map(|_| r#"["pipeline",1,[1]]"#.into()))
                .collect(),
            &(1..15_000).collect::<Vec<_>>(),
        ),
        case(
            "16,000 calls with a promise that settles",
            std::iter::once(r#"["pipeline",0,["wait"],[500]]"#.into())
                .chain((0..16_000).map(|_| r#"["pipeline",0,["count"],[["pipeline",1]]]"#.into()))
                .collect(),
            &(1..16_000).collect::<Vec<_>>(),
        ),
        case(
            "40,000 calls that wait for room",
            (0..16_384)
                .map(|_| r#"["pipeline",0,["wait"],[700]]"#.into())
                .chain((0..40_000).map(|_| r#"["pipeline",0,["square"],[7]]"#.into()))
                .collect(),
            &(1..56_000).collect::<Vec<_>>(),
        ),
    ];
    for (name, answers) in [
        ("callMany(f, 1,000,000), answered", true),
        ("callMany(f, 1,000,000), not answered", false),
    ] {
        cases.push(Case {
            answers,
            ..case(
                name,
                vec![r#"["pipeline",0,["callMany"],[["export",-1],1000000]]"#.into()],
                &[1],
            )
        });
    }
    let long = [
        ("30 MB of text", "x".repeat(30 << 20)),
        ("90 MB of three-byte characters", "語".repeat(30 << 20)),
        ("30 MB of text, refused", "x".repeat(33 << 20)),
    ];
    let carriers = [
        (
            "one frame",
            Carrier::WebSocket {
                fragment: 100 << 20,
            },
        ),
        (
            "fragments of 64 KB",
            Carrier::WebSocket { fragment: 64 << 10 },
        ),
        (
            "fragments of 100 bytes",
            Carrier::WebSocket { fragment: 100 },
        ),
        ("a line", Carrier::Lines),
    ];
    for (what, text) in long {
        for (how, carrier) in carriers {
            let push = format!(r#"["pipeline",0,["nothing"],["{text}"]]"#);
            cases.push(Case {
                carrier,
                ..case(format!("{what} in {how}"), vec![push], &[1])
            });
        }
    }
    for (how, carrier) in carriers.into_iter().skip(1) {
        cases.push(Case {
            carrier,
            ..case(
                format!("list(10,000,000) to {how}"),
                vec![list(10_000_000)],
                &[1],
            )
        });
    }
    cases
}
