use futures_util::StreamExt;
let api = capnweb::Object::new()
    .method("sum", |numbers: capnweb::stream::Readable<u32>| async move {
        Ok(numbers.fold(0, |sum, n| async move { sum + n.unwrap_or(0) }).await)
    })
    .into_stub();
