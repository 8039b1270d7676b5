//! A server on standard input and output.
//!
//! `capnweb::stdio::spawn` starts such a program and calls it. To try it by hand, run the program
//! and type `["push",["pipeline",0,["add"],[1,2]]]` and `["pull",1]`.

use capnweb::Object;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let why_it_ended = capnweb::stdio::serve(|session| {
        let parent = session.main();
        Object::new()
            .method("add", |a: f64, b: f64| async move { Ok(a + b) })
            .property("parent", parent)
            .into_stub()
    })
    .await;
    eprintln!("{why_it_ended}");
}
