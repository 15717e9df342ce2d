//! Just enough HTTP/1.1 to stand between a client and a node.

use std::io;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// A request or an answer, its body whole.
pub(super) struct Message {
    /// The first line.
    pub(super) start: String,
    pub(super) kind: String,
    pub(super) body: Vec<u8>,
    /// Whether its sender closes the connection after it.
    pub(super) closes: bool,
}

/// The next message; none when the other side has closed.
pub(super) async fn read(from: &mut BufReader<TcpStream>) -> io::Result<Option<Message>> {
    let mut start = String::new();
    if from.read_line(&mut start).await? == 0 {
        return Ok(None);
    }
    let (mut length, mut is_chunked) = (0, false);
    let mut message =
        Message { start: start.trim_end().to_owned(), kind: String::new(), body: Vec::new(), closes: false };
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().map_err(|_| io::ErrorKind::InvalidData)?,
            "content-type" => value.clone_into(&mut message.kind),
            "transfer-encoding" => is_chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" => message.closes = value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    if is_chunked {
        chunks(from, &mut message.body).await?;
    } else {
        message.body.resize(length, 0);
        from.read_exact(&mut message.body).await?;
    }
    Ok(Some(message))
}

async fn chunks(from: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let mut line = String::new();
        from.read_line(&mut line).await?;
        let size = usize::from_str_radix(line.trim(), 16).map_err(|_| io::ErrorKind::InvalidData)?;
        let at = body.len();
        // Each chunk, the empty one at the end too, is followed by a line break.
        body.resize(at + size + 2, 0);
        from.read_exact(&mut body[at..]).await?;
        body.truncate(at + size);
        if size == 0 {
            return Ok(());
        }
    }
}

/// Sends a message; `host` is none for an answer.
pub(super) async fn write(
    to: &mut TcpStream,
    start: &str,
    host: Option<&str>,
    kind: &str,
    body: &[u8],
) -> io::Result<()> {
    let host = host.map(|host| format!("Host: {host}\r\n")).unwrap_or_default();
    let head = format!("{start}\r\n{host}Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
    // One write, so that it leaves as one packet.
    let whole = [head.as_bytes(), body].concat();
    to.write_all(&whole).await
}
