//! Calls of `add(2, 3)`.

use crate::{
    Result,
    clock::{Clock, Report},
    framing::Framing,
    link::Link,
    options::Options,
    outstanding::Outstanding,
};

const PUSH: &[u8] = br#"["push",["pipeline",0,["add"],[2,3]]]"#;
const SUM: f64 = 5.0;

/// The number of calls in flight while the results to keep are created.
const EXPORTS_AT_ONCE: usize = 1000;

pub(crate) fn load(options: &Options, print: &mut dyn FnMut(&str)) -> Result<Report> {
    let mut caller = Caller {
        link: Link::connect(options)?,
        calls: Calls::new(options.over),
        answers: 0,
    };
    caller.export(options.exports)?;
    let mut clock = Clock::start(options, print);
    loop {
        let report = clock.report();
        if report.is_none() {
            caller.begin(options.in_flight);
        } else if caller.calls.outstanding.count() == 0 {
            break;
        }
        caller.exchange(Released::Yes)?;
        clock.tick(caller.answers);
    }
    caller.link.close()?;
    clock.report().ok_or_else(|| "nothing was measured".into())
}

struct Caller {
    link: Link,
    calls: Calls,
    answers: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Released {
    Yes,
    No,
}

impl Caller {
    /// Makes calls whose results stay on the server.
    fn export(&mut self, count: u64) -> Result {
        let mut begun = 0;
        while self.answers < count {
            let missing = usize::try_from(count - begun).unwrap_or(usize::MAX);
            let at_once = EXPORTS_AT_ONCE.min(self.calls.outstanding.count() + missing);
            begun += self.begin(at_once);
            self.exchange(Released::No)?;
        }
        Ok(())
    }

    /// Begins calls until `in_flight` of them are in flight.
    fn begin(&mut self, in_flight: usize) -> u64 {
        let mut begun = 0;
        while self.calls.outstanding.count() < in_flight {
            self.calls.begin(self.link.output());
            begun += 1;
        }
        begun
    }

    fn exchange(&mut self, released: Released) -> Result {
        let Self {
            link,
            calls,
            answers,
        } = self;
        link.exchange(|message, out| {
            let id = calls.answered(message)?;
            if released == Released::Yes {
                calls.release(id, out);
            }
            *answers += 1;
            Ok(())
        })
    }
}

/// The calls of a session.
struct Calls {
    framing: Framing,
    outstanding: Outstanding,
    /// The frame of the push, which is always the same.
    push: Vec<u8>,
    /// The message that is being built.
    message: Vec<u8>,
}

impl Calls {
    fn new(framing: Framing) -> Self {
        let mut push = Vec::new();
        framing.write(PUSH, &mut push);
        Self {
            framing,
            outstanding: Outstanding::before(1),
            push,
            message: Vec::new(),
        }
    }

    /// Appends the frames that begin a call.
    fn begin(&mut self, out: &mut Vec<u8>) {
        let id = self.outstanding.begin();
        out.extend_from_slice(&self.push);
        self.write(
            [br#"["pull","#, id_text(id, &mut itoa::Buffer::new()), b"]"],
            out,
        );
    }

    /// Appends the frame that releases a result.
    fn release(&mut self, id: u64, out: &mut Vec<u8>) {
        self.write(
            [
                br#"["release","#,
                id_text(id, &mut itoa::Buffer::new()),
                b",1]",
            ],
            out,
        );
    }

    fn write(&mut self, parts: [&[u8]; 3], out: &mut Vec<u8>) {
        self.message.clear();
        for part in parts {
            self.message.extend_from_slice(part);
        }
        self.framing.write(&self.message, out);
    }

    /// Handles an answer, and returns the ID of its call.
    ///
    /// # Errors
    ///
    /// Returns an error if the answer is wrong.
    fn answered(&mut self, message: &[u8]) -> Result<u64> {
        let Some((id, sum)) = parse(message) else {
            let text = String::from_utf8_lossy(message);
            return Err(format!("what came is no answer: {text}").into());
        };
        if sum != SUM {
            return Err(format!("the answer is {sum} where {SUM} is right").into());
        }
        self.outstanding.end(id)?;
        Ok(id)
    }
}

fn id_text(id: u64, buffer: &mut itoa::Buffer) -> &[u8] {
    buffer.format(id).as_bytes()
}

/// Returns the ID and the number of a `resolve`.
fn parse(message: &[u8]) -> Option<(u64, f64)> {
    let rest = message
        .strip_prefix(br#"["resolve","#)?
        .strip_suffix(b"]")?;
    let comma = rest.iter().position(|byte| *byte == b',')?;
    let mut id: u64 = 0;
    for byte in &rest[..comma] {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        id = id.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    let sum = match &rest[comma + 1..] {
        b"5" => SUM,
        other => str::from_utf8(other).ok()?.parse().ok()?,
    };
    (comma > 0).then_some((id, sum))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{against, responder::Responder};

    #[test]
    fn an_answer_is_parsed() {
        assert_eq!(parse(br#"["resolve",12,5]"#), Some((12, 5.0)));
        assert_eq!(parse(br#"["resolve",1,5.0]"#), Some((1, 5.0)));
        assert_eq!(parse(br#"["resolve",1,-6]"#), Some((1, -6.0)));
        for message in [
            r#"["resolve",,5]"#,
            r#"["resolve",1]"#,
            r#"["resolve",-1,5]"#,
            r#"["resolve",99999999999999999999,5]"#,
            r#"["resolve",1,"5"]"#,
            r#"["reject",1,["error","Error","no"]]"#,
            r#"["abort",["error","Error","no"]]"#,
            "",
        ] {
            assert_eq!(parse(message.as_bytes()), None, "{message}");
        }
    }

    #[test]
    fn calls_are_pushed_pulled_and_released() {
        let mut calls = Calls::new(Framing::Lines);
        let mut out = Vec::new();
        calls.begin(&mut out);
        calls.begin(&mut out);
        assert_eq!(calls.answered(br#"["resolve",2,5]"#).unwrap(), 2);
        calls.release(2, &mut out);
        let push = String::from_utf8_lossy(PUSH);
        let expected = format!("{push}\n[\"pull\",1]\n{push}\n[\"pull\",2]\n[\"release\",2,1]\n");
        assert_eq!(String::from_utf8_lossy(&out), expected);
        assert!(calls.answered(br#"["resolve",1,6]"#).is_err());
        assert!(calls.answered(br#"["resolve",3,5]"#).is_err());
    }

    #[test]
    fn a_load_counts_the_answers() {
        for over in [Framing::WebSocket, Framing::Lines] {
            for spin in [false, true] {
                let server = Responder::start(over, "5").unwrap();
                let mut lines = Vec::new();
                let options = Options {
                    exports: 2500,
                    spin,
                    ..against(server.address, over)
                };
                let report = load(&options, &mut |line| lines.push(line.to_owned())).unwrap();
                assert!(report.units > 0);
                assert!(report.time >= Duration::from_millis(20));
                assert_eq!(lines, ["start", "stop"]);
                assert!(server.wait().unwrap() >= 2500 + report.units);
            }
        }
    }

    #[test]
    fn a_wrong_answer_ends_the_load() {
        let server = Responder::start(Framing::WebSocket, "6").unwrap();
        let options = against(server.address, Framing::WebSocket);
        let error = load(&options, &mut |_| {}).unwrap_err();
        assert_eq!(error.to_string(), "the answer is 6 where 5 is right");
    }
}
