//! Types that only serde can read, through a buffer that loses information.

use capnweb::value;

#[value]
struct Rest {
    value: u32,
}

#[value]
#[serde(tag = "type")]
enum SomeUntagged {
    Tagged { value: u32 },
    #[serde(untagged)]
    Other(String),
}

#[value]
#[serde(tag = "type", content = "data")]
enum FlatContent {
    Changed {
        key: String,
        #[serde(flatten)]
        rest: Rest,
    },
}

#[value]
#[serde(default)]
#[derive(Default)]
struct FlatDefault {
    key: String,
    #[serde(flatten)]
    rest: Option<Rest>,
}

#[value]
#[serde(deny_unknown_fields)]
struct FlatDenying {
    key: String,
    #[serde(flatten)]
    rest: Rest,
}

fn main() {}
