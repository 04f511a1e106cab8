//! `lakehouse up`, from its start to what is refused before it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use crate::platform::{Platform, lakehouse, text, up};

#[test]
fn it_starts_loads_the_sample_once_and_says_what_to_try() {
    let mut platform = Platform::start(&["--sample=300", "--ready-file", "ready"]);
    let mut told = String::new();
    while !told.contains("Ctrl-C") {
        assert_ne!(platform.stdout.read_line(&mut told).unwrap(), 0, "ended: {told}");
    }
    let file = std::fs::read_to_string(platform.folder.path().join("ready"));
    assert_eq!(file.unwrap(), platform.url, "the ready file is there before what to try");
    assert_eq!(told.matches("curl ").count(), 3, "{told}");
    assert!(told.contains(&platform.url), "{told}");
    let count = "SELECT count(*) AS n, count(DISTINCT role) > 20 AS varied FROM workers";
    assert_eq!(platform.ok(&["sql", count]), "n,varied\n300,true\n");
    // The lines that it says to try work as they are.
    let statement = told.lines().find(|line| line.contains("/v1/sql")).unwrap();
    let body = statement.split('\'').nth(3).unwrap();
    let sql = body.split('"').nth(3).unwrap();
    assert_eq!(platform.ok(&["sql", sql]).lines().next(), Some("state,count_star(),avg(hourly_pay)"));
    let lines: Vec<&str> = told.lines().filter(|line| line.trim_start().starts_with("lakehouse ")).collect();
    let [create, search, demo] = lines[..] else { panic!("{told}") };
    let made = platform.shell(create);
    assert!(made.starts_with("workers_idx: 300 items at version 1 of workers, all-MiniLM-L6-v2, 384 "), "{made}");
    let found = platform.shell(search);
    assert!(found.lines().count() == 6 && found.lines().nth(1).unwrap().contains("forklift"), "{found}");
    assert_eq!(demo.trim(), format!("lakehouse demo --url {}", platform.url));
}

#[test]
fn an_occupied_port_is_said_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap();
    let output = up(&folder, &["--set", &format!("catalogd.listen={address}")]).output().unwrap();
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(&format!("error: catalogd cannot listen on {address}: ")), "{error}");
    assert!(error.contains("--set catalogd.listen=") && output.stdout.is_empty(), "{error}");
    assert!(!folder.path().join("data/objects").exists(), "storaged was started");
}

#[test]
fn one_data_folder_has_one_platform() {
    let platform = Platform::start(&[]);
    let output = up(&platform.folder, &[]).output().unwrap();
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("in use by another platform"), "{error}");
    assert!(platform.ok(&["health"]).contains("queryd"), "the first one is well");
}

#[test]
fn a_configuration_that_is_not_valid_is_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str], word: &str| {
        let output = up(&folder, arguments).stdout(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(word), "{arguments:?}: {}", text(&output.stderr));
    };
    refused(&["--set", "queryd.queue_maxx=1"], "queue_maxx");
    refused(&["--set", "nonsense.listen=1"], "[nonsense]");
    refused(&["--set", "storaged.max_object_bytes=many"], "max_object_bytes");
    refused(&["--set", "telemetry.filter=a=b=c"], "filter");
    refused(&["--config", "/no/such/file"], "/no/such/file");
    refused(&["--nonsense"], "--nonsense");
}

#[test]
fn a_service_that_cannot_start_stops_the_platform() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "no folder").unwrap();
    let output = up(&folder, &["--set", &format!("storaged.data_dir={}", file.display())]).output().unwrap();
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("error: storaged failed 5 times within a minute"), "{error}");
}

#[test]
fn a_log_that_no_terminal_shows_has_no_colours() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = up(&folder, &["--set", "telemetry.filter=info"]);
    let mut child = command.env_remove("NO_COLOR").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut of_gateway = log.by_ref().map(Result::unwrap).filter(|line| line.contains("\"gateway\""));
    let serving = of_gateway.find(|line| line.contains("serving")).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(serving.contains(" INFO ") && serving.contains("serving"), "{serving:?}");
    assert!(!serving.contains('\x1b'), "{serving:?}");
}

/// Of the gateway and of the service behind it: what ties a request's lines together.
#[test]
fn log_lines_have_the_ids_that_a_request_came_with() {
    const HEAD: &str = "GET /v1/storage/nothing HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-request-id: r-7\r\n\
                        traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n";
    for (format, id, trace_id) in [
        ("text", "request_id=r-7", "trace_id=\"0af7651916cd43dd8448eb211c80319c\""),
        ("json", "\"request_id\":\"r-7\"", "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            ["--set", "telemetry.filter=kit=debug,gateway=debug", "--set", &format!("telemetry.format={format}")];
        let mut command = up(&folder, &settings);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let mut stream = TcpStream::connect(ready.trim().strip_prefix("ready http://").unwrap()).unwrap();
        stream.write_all(HEAD.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        child.kill().unwrap();
        let log = text(&child.wait_with_output().unwrap().stderr);
        let answered = log.lines().filter(|line| line.contains("answered") && line.contains("/v1/storage"));
        let answered: Vec<_> = answered.collect();
        assert_eq!(answered.len(), 2, "{format}: {log}");
        assert!(answered.iter().all(|line| line.contains(id) && line.contains(trace_id)), "{format}: {answered:#?}");
        let is_json = answered.iter().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok());
        assert_eq!(is_json, format == "json", "{answered:#?}");
    }
}

#[test]
fn the_configuration_in_force_says_where_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("l.toml");
    std::fs::write(
        &file,
        "[queryd]\nqueue_max = 3\n[storaged.s3]\naccess_key_id = \"id\"\nsecret_access_key = \"hunter2\"\n",
    )
    .unwrap();
    let file = file.display().to_string();
    let mut command = lakehouse(&["config", "--config", &file, "--set", "gateway.listen=127.0.0.1:9"]);
    let output = command.env("LAKEHOUSE__QUERYD__TIMEOUT_DEFAULT", "7s").output().unwrap();
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(printed.contains(&format!("queue_max = 3 # {file}\n")), "{printed}");
    assert!(printed.contains("timeout_default = \"7s\" # environment\n"), "{printed}");
    assert!(printed.contains("listen = \"127.0.0.1:9\" # --set\n"), "{printed}");
    assert!(printed.contains("secret_access_key = \"***\"") && !printed.contains("hunter2"), "{printed}");
    let defaults = text(&lakehouse(&["config", "--default"]).output().unwrap().stdout);
    assert!(defaults.contains("[storaged.s3]") && defaults.contains("queue_max = 256\n"), "{defaults}");
}
