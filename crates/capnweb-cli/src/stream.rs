//! Streams from and to files, with progress bars.

use std::{io::IsTerminal, path::Path, time::Duration};

use bytes::Bytes;
use capnweb::{Error, Payload, Value, fetch::Blob, stream::Readable};
use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{
    failure::{Code, Failure},
    output::{Format, Style, human, json},
};

/// The size of a chunk of a file, in bytes.
const CHUNK: usize = 64 * 1024;

/// Returns a progress bar on standard error, which is hidden unless that is a terminal.
fn progress(total: Option<u64>, what: &str) -> ProgressBar {
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::no_length(),
    };
    let template = match total {
        Some(_) => "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        None => "{msg} {spinner} {bytes} {bytes_per_sec}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_draw_target(match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr_with_hz(10),
        false => ProgressDrawTarget::hidden(),
    });
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Returns a stream of the bytes of a file, or of standard input for `-`.
pub(crate) async fn upload(path: &Path) -> Result<Value, Failure> {
    let failed = |error: std::io::Error| Failure::usage(format!("{}: {error}", path.display()));
    let (reader, bar): (Box<dyn AsyncRead + Send + Unpin>, _) = if path == Path::new("-") {
        (Box::new(tokio::io::stdin()), progress(None, "sending"))
    } else {
        let file = tokio::fs::File::open(path).await.map_err(failed)?;
        let metadata = file.metadata().await.map_err(failed)?;
        if metadata.is_dir() {
            return Err(Failure::usage(format!("{} is a folder", path.display())));
        }
        (Box::new(file), progress(Some(metadata.len()), "sending"))
    };
    let chunks = stream::unfold((reader, bar), |(mut reader, bar)| async move {
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut limited = (&mut reader).take(CHUNK as u64);
        match limited.read_buf(&mut chunk).await {
            Ok(0) => {
                bar.finish_and_clear();
                None
            }
            Ok(_) => {
                bar.inc(chunk.len() as u64);
                Some((Ok(Bytes::from(chunk)), (reader, bar)))
            }
            Err(error) => {
                bar.finish_and_clear();
                Some((Err(Error::new(error.to_string())), (reader, bar)))
            }
        }
    });
    let readable = Readable::<Bytes>::from_stream(chunks);
    let value = Payload::encode(&readable).and_then(|payload| payload.decode());
    value.map_err(Failure::of)
}

/// The stream in a result.
pub(crate) enum Content {
    Chunks(Readable<Value>),
    Bytes(Bytes),
}

/// Takes the stream out of a value.
pub(crate) fn content(value: &Value) -> Option<Content> {
    match value {
        Value::Bytes(bytes) => Some(Content::Bytes(bytes.clone())),
        Value::Binary(binary) => Some(Content::Bytes(binary.as_bytes().to_vec().into())),
        Value::Stream(payload) => match payload.decode::<Blob>() {
            Ok(blob) => Some(Content::Bytes(blob.into_bytes())),
            Err(_) => payload.decode().ok().map(Content::Chunks),
        },
        _ => None,
    }
}

/// The reason why a stream was not copied completely.
pub(crate) enum Interrupted {
    Peer(Error),
    Output(std::io::Error),
}

impl From<std::io::Error> for Interrupted {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error)
    }
}

/// Writes a stream to a file: bytes unchanged, and other chunks as lines of JSON.
pub(crate) async fn save(
    mut chunks: Readable<Value>,
    out: &mut (impl AsyncWrite + Unpin),
) -> Result<(), Interrupted> {
    let bar = progress(None, "receiving");
    let result = async {
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(Interrupted::Peer)?;
            let bytes = as_saved(&chunk);
            bar.inc(bytes.len() as u64);
            out.write_all(&bytes).await?;
        }
        out.flush().await?;
        Ok::<(), Interrupted>(())
    };
    let result = result.await;
    bar.finish_and_clear();
    result
}

fn as_saved(chunk: &Value) -> Vec<u8> {
    match content(chunk) {
        Some(Content::Bytes(bytes)) => bytes.to_vec(),
        _ => {
            let mut line = json::to_string(chunk);
            line.push('\n');
            line.into_bytes()
        }
    }
}

/// Prints a stream. Each chunk is a line, except that bytes are written unchanged unless the output
/// is a terminal.
pub(crate) async fn print(
    mut chunks: Readable<Value>,
    format: Format,
    style: Style,
) -> Result<(), Interrupted> {
    let is_terminal = std::io::stdout().is_terminal();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(Interrupted::Peer)?;
        let bytes = match (&chunk, format) {
            (Value::Bytes(bytes), Format::Raw) => bytes.to_vec(),
            (Value::Bytes(bytes), Format::Human | Format::Table) if !is_terminal => bytes.to_vec(),
            (Value::Bytes(bytes), Format::Human | Format::Table) => {
                match std::str::from_utf8(bytes) {
                    Ok(text) => human::harmless(text).into_bytes(),
                    Err(_) => crate::output::render(&chunk, Format::Human, style),
                }
            }
            (Value::Bytes(_), Format::Json) | (_, Format::Table) => {
                crate::output::render(&chunk, Format::Json, style)
            }
            _ => crate::output::render(&chunk, format, style),
        };
        crate::output::write_out(&bytes)?;
    }
    Ok(())
}

/// Returns the failure for an error in writing to standard output or a file.
pub(crate) fn output_failure(error: &std::io::Error, to: Option<&Path>) -> Failure {
    let to = to.map_or("the standard output".to_owned(), |path| {
        path.display().to_string()
    });
    Failure::new(Code::Usage, format!("cannot write to {to}: {error}"))
}
