use std::{
    io::{Read, Write},
    net::TcpStream,
};

use nsl_sandbox::{Otlp, Span};

fn field(number: u8, body: &[u8]) -> Vec<u8> {
    let mut whole = vec![number << 3 | 2, body.len() as u8];
    whole.extend_from_slice(body);
    whole
}

#[test]
fn a_span_comes_through_the_collector() {
    let otlp = Otlp::start().unwrap();
    let service = field(1, &[field(1, b"service.name"), field(2, &field(1, b"shop"))].concat());
    let times = [0x39, 1, 0, 0, 0, 0, 0, 0, 0, 0x41, 2, 0, 0, 0, 0, 0, 0, 0];
    let span = [field(1, &[7; 16]), field(2, &[8; 8]), field(4, &[9; 8]), field(5, b"sell"), times.to_vec()].concat();
    let body = field(1, &[field(1, &service), field(2, &field(2, &span))].concat());
    let to = otlp.endpoint().replace("http://", "");
    let mut stream = TcpStream::connect(&to).unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nHost: {to}\r\nContent-Type: application/x-protobuf\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    let spans = otlp.until("the span arrives", |spans| !spans.is_empty()).unwrap();
    let expected = Span {
        service: "shop".into(),
        name: "sell".into(),
        trace: "07".repeat(16),
        id: "08".repeat(8),
        parent: "09".repeat(8),
    };
    assert_eq!(spans, [expected]);
}
