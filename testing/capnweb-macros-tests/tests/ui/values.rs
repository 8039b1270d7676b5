use capnweb::value;

#[value]
struct Borrowed<'a> {
    name: &'a str,
}

#[value]
struct Static {
    name: &'static str,
}

#[value]
#[derive(Clone, Serialize, serde::Deserialize)]
struct Twice {
    name: String,
}

#[value]
#[serde(remote = "std::time::Duration")]
struct Remote {
    secs: u64,
}

fn main() {}
