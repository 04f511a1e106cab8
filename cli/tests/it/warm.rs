//! `lakehouse embed warm`: texts are in the cache before anybody asks for them.

use crate::platform::{Platform, text};

#[test]
fn a_cache_is_warmed_from_a_file_a_pipe_a_column_and_what_was_used() {
    let platform = Platform::start(&[]);
    let file = platform.write("log.txt", "forklift driver IL\n\"welder\"\n\n{\"text\": \"night nurse\"}\n");
    let told = platform.ok(&["embed", "warm", &file]);
    assert_eq!(told, "3 texts are in the cache of all-MiniLM-L6-v2, 3 of them new\n");
    let told = platform.fed(&["embed", "warm", "-", "--model", "all-MiniLM-L6-v2"], "welder\nbaker\n");
    assert_eq!(text(&told.stdout), "2 texts are in the cache of all-MiniLM-L6-v2, 1 of them new\n");
    assert!(told.stderr.is_empty(), "no progress bar without a terminal: {}", text(&told.stderr));

    let roles = platform.write("roles.csv", "id,role\n1,welder\n2,baker\n3,baker\n4,teacher\n");
    platform.ok(&["ingest", &roles]);
    let told = platform.ok(&["embed", "warm", "--dataset", "roles", "--column", "role", "--json"]);
    assert!(told.contains("\"state\":\"done\"") && told.contains("\"texts_total\":3"), "{told}");
    assert!(told.contains("\"computed\":1"), "{told}");
    let told = platform.ok(&["embed", "warm", "--most-used", "--no-wait"]);
    let (id, state) = told.strip_prefix("warm-up ").unwrap().trim().split_once(": ").unwrap();
    assert!(id.len() == 36 && ["queued", "running", "done"].contains(&state), "{told}");
}

#[test]
fn a_warm_up_that_fails_says_why() {
    let platform = Platform::start(&[]);
    let output = platform.run(&["embed", "warm", "--dataset", "never", "--column", "role"]);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.starts_with("error: warm-up ") && error.contains("never"), "{error}");
    assert!(output.stdout.is_empty());
}
