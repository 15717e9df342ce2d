use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context, Result, bail};

/// The answer to a request.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    /// The status line and the headers, as sent.
    pub head: String,
    pub body: String,
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.body).with_context(|| format!("reading as JSON: {}", self.body))
    }

    /// The value of a header, the name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// A plain HTTP/1.1 connection that stays open between requests. Small on purpose: it sends what it is told
/// and shows what came back, which a real client would mend or hide.
pub struct Connection {
    to: String,
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to `host:port`, or to a URL of it.
    pub fn open(to: &str) -> Result<Self> {
        let to = to.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let stream = TcpStream::connect(&to).with_context(|| format!("connecting to {to}"))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_nodelay(true)?;
        Ok(Self { to, stream: BufReader::new(stream) })
    }

    /// Sends a request and waits for its answer; each header is `Name: value`.
    pub fn request(&mut self, method: &str, path: &str, headers: &[String], body: &str) -> Result<Reply> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.to);
        for header in headers {
            request.push_str(header);
            request.push_str("\r\n");
        }
        if !body.is_empty() || method != "GET" {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        request.push_str(body);
        self.send(request.as_bytes())?;
        self.receive(method == "HEAD")
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.get_mut().write_all(bytes).with_context(|| format!("writing to {}", self.to))
    }

    /// Reads one answer; `bodiless` when it answers HEAD.
    pub fn receive(&mut self, bodiless: bool) -> Result<Reply> {
        let mut head = String::new();
        loop {
            let from = head.len();
            if self.stream.read_line(&mut head).context("reading the headers")? == 0 {
                bail!("{} closed the connection before the end of the headers", self.to);
            }
            if head[from..].trim().is_empty() {
                break;
            }
        }
        let head = head.trim_end().to_owned();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("reading the status line")?;
        let mut reply = Reply { status, head, body: String::new() };
        let mut body = Vec::new();
        if bodiless || matches!(status, 100..=199 | 204 | 304) {
            return Ok(reply);
        }
        if reply.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            self.chunks(&mut body)?;
        } else if let Some(length) = reply.header("content-length") {
            body.resize(length.parse().context("reading the length of the body")?, 0);
            self.stream.read_exact(&mut body).context("reading the body")?;
        } else {
            self.stream.read_to_end(&mut body).context("reading the body")?;
        }
        reply.body = String::from_utf8_lossy(&body).into_owned();
        Ok(reply)
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> Result<()> {
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).context("reading the size of a chunk")?;
            let size = usize::from_str_radix(line.trim(), 16).context("reading the size of a chunk")?;
            let from = body.len();
            // Each chunk, the empty one at the end too, is followed by a line break.
            body.resize(from + size + 2, 0);
            self.stream.read_exact(&mut body[from..]).context("reading a chunk")?;
            body.truncate(from + size);
            if size == 0 {
                return Ok(());
            }
        }
    }
}

/// One request over a connection of its own.
pub fn http(method: &str, to: &str, path: &str, headers: &[String], body: &str) -> Result<Reply> {
    let mut headers = headers.to_vec();
    headers.push("Connection: close".to_owned());
    Connection::open(to)?.request(method, path, &headers, body)
}
