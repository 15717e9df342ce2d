use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use flate2::read::MultiGzDecoder;
use nsl_devnet::free_port;

use crate::{
    home::{Room, tool},
    process::{Process, eventually},
};

/// One span that arrived; ids are lower-case hex, `parent` is empty for a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub service: String,
    pub name: String,
    pub trace: String,
    pub id: String,
    pub parent: String,
}

/// A real OTLP collector (rotel) that checks what it is sent and passes it on to a receiver in this process,
/// where the test reads the spans.
pub struct Otlp {
    collector: Process,
    port: u16,
    spans: Arc<Mutex<Vec<Span>>>,
    _room: Room,
}

impl Otlp {
    pub fn start() -> Result<Self> {
        let spans = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let sink = listener.local_addr()?;
        let into = spans.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let into = into.clone();
                thread::spawn(move || receive(stream, &into));
            }
        });
        let room = Room::new("otlp")?;
        let (port, grpc) = (free_port()?, free_port()?);
        let file = |name: &str| room.path().join(name).display().to_string();
        let mut command = Command::new(tool("rotel-agent")?);
        command.args(["start", "--otlp-http-endpoint", &format!("127.0.0.1:{port}")]);
        command.args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")]);
        command.args(["--pid-file", &file("pid"), "--log-file", &file("agent.log")]);
        command.args(["--exporter", "otlp", "--otlp-exporter-protocol", "http"]);
        command.args(["--otlp-exporter-endpoint", &format!("http://{sink}")]);
        command.args(["--batch-timeout", "50ms"]).current_dir(room.path());
        let collector = Process::start("rotel", &command, &room.path().join("log"), None)?;
        collector.until_ready(20, || TcpStream::connect(("127.0.0.1", port)).is_ok())?;
        Ok(Self { collector, port, spans, _room: room })
    }

    /// The base URL for OTLP over HTTP, to which `/v1/traces` is added.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn process(&self) -> &Process {
        &self.collector
    }

    /// Every span that has come through so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().expect("no holder panics").clone()
    }

    /// Waits until `enough` says that the spans suffice, and returns them.
    pub fn until(&self, what: &str, enough: impl Fn(&[Span]) -> bool) -> Result<Vec<Span>> {
        eventually(what, 20, || Ok(enough(&self.spans()))).with_context(|| format!("spans: {:#?}", self.spans()))?;
        Ok(self.spans())
    }
}

// Answers each request on one connection with 200 and an empty protobuf message.
fn receive(stream: TcpStream, spans: &Mutex<Vec<Span>>) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let mut answer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (mut length, mut line) = (0, String::new());
        while reader.read_line(&mut line).ok()? > 2 {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok()?;
            }
            line.clear();
        }
        if line.is_empty() {
            return None;
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        // The collector compresses whatever its settings say.
        let mut plain = Vec::new();
        MultiGzDecoder::new(body.as_slice()).read_to_end(&mut plain).ok()?;
        spans.lock().expect("no holder panics").extend(read_export(&plain));
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
        answer.write_all(head.as_bytes()).ok()?;
    }
}

// The numbers are the field numbers of opentelemetry/proto/{collector/trace,trace,common,resource}/v1.
fn read_export(body: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource_spans in fields(body, 1) {
        let service = fields(resource_spans, 1)
            .into_iter()
            .flat_map(|resource| fields(resource, 1))
            .find(|pair| first(pair, 1) == b"service.name")
            .map(|pair| text(first(first(pair, 2), 1)))
            .unwrap_or_default();
        for span in fields(resource_spans, 2).into_iter().flat_map(|scope| fields(scope, 2)) {
            spans.push(Span {
                service: service.clone(),
                trace: hex(first(span, 1)),
                id: hex(first(span, 2)),
                parent: hex(first(span, 4)),
                name: text(first(span, 5)),
            });
        }
    }
    spans
}

// The length-delimited fields with this number in a protobuf message; what cannot be read ends the message.
fn fields(mut message: &[u8], number: u64) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some(tag) = varint(&mut message) {
        let size = match tag & 7 {
            0 => {
                varint(&mut message);
                continue;
            }
            1 => 8,
            2 => varint(&mut message).unwrap_or(u64::MAX) as usize,
            5 => 4,
            _ => return found,
        };
        let Some((field, rest)) = message.split_at_checked(size) else { return found };
        if tag >> 3 == number && tag & 7 == 2 {
            found.push(field);
        }
        message = rest;
    }
    found
}

fn first(message: &[u8], number: u64) -> &[u8] {
    fields(message, number).first().copied().unwrap_or_default()
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
