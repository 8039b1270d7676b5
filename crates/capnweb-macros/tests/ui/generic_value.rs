use capnweb::{Bytes, Result, interface, value};

#[value]
struct Upload<T> {
    content: T,
}

#[interface]
trait Files {
    async fn upload(&self, upload: Upload<Bytes>) -> Result<()>;
}

fn uploads(files: &FilesStub, content: Vec<u8>) {
    // Its content would be written as a list of numbers.
    let _ = files.upload(Upload { content });
    let _ = files.upload(Upload { content: Bytes::new() });
}

fn main() {}
