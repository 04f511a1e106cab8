//! How it ends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::platform::Platform;

const BODY: &[u8] = b"first half, second half";

/// An upload that is half sent.
fn begin_upload(platform: &Platform) -> TcpStream {
    let mut stream = TcpStream::connect(platform.address()).unwrap();
    let head = format!("PUT /v1/storage/slow HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n", BODY.len());
    // An answer of 100 says that the request is being handled.
    write!(stream, "{head}expect: 100-continue\r\n\r\n").unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&interim));
    stream.write_all(&BODY[..10]).unwrap();
    stream
}

/// Probes are answered to the end, and readiness is what fails first.
fn wait_until_draining(platform: &Platform) {
    let mut answer = String::new();
    while !answer.starts_with("HTTP/1.1 503") {
        answer.clear();
        let mut stream = TcpStream::connect(platform.address()).unwrap();
        let request = "GET /health/readiness HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        stream.read_to_string(&mut answer).unwrap();
    }
}

#[test]
fn a_request_that_runs_is_finished_first() {
    let mut platform = Platform::start(&[]);
    let mut upload = begin_upload(&platform);
    platform.signal(Signal::TERM);
    wait_until_draining(&platform);
    assert!(platform.child.try_wait().unwrap().is_none(), "ended before the upload did");
    upload.write_all(&BODY[10..]).unwrap();
    let mut answer = String::new();
    upload.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    assert_eq!(platform.child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_idle_platform_ends_quickly_on_either_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut platform = Platform::start(&[]);
        platform.ok(&["sql", "SELECT 1"]);
        let told = Instant::now();
        platform.signal(signal);
        assert_eq!(platform.child.wait().unwrap().code(), Some(0));
        assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut platform = Platform::start(&[]);
    let _upload = begin_upload(&platform);
    platform.signal(Signal::TERM);
    wait_until_draining(&platform);
    let told = Instant::now();
    platform.signal(Signal::TERM);
    assert_eq!(platform.child.wait().unwrap().code(), Some(130));
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
}
